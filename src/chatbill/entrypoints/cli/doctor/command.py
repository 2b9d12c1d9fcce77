"""The command `chatbill doctor`: runs every check, and prints what it found."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from functools import partial
from typing import Final

import click

from chatbill.container import Container
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.doctor import address_checks, machine_checks, settings_checks
from chatbill.entrypoints.cli.doctor.findings import Bad, Check, Finding, Level, Surroundings, error
from chatbill.entrypoints.cli.wiring import settings_from
from chatbill.entrypoints.web.probes import Seen, ask
from chatbill.entrypoints.web.texts import render
from chatbill.settings import unknown_variables

CHECKS: Final[tuple[Check, ...]] = (
    settings_checks.payments,
    settings_checks.encryption,
    settings_checks.secrets,
    settings_checks.processes,
    machine_checks.schema,
    machine_checks.versions,
    machine_checks.clock,
    machine_checks.disk,
    machine_checks.models,
    machine_checks.backups,
    machine_checks.mail,
    address_checks.reachable,
)
"""A new check is one function here. It yields what is wrong, and its docstring says what it looks at."""
AT_ADDRESS: Final[tuple[Check, ...]] = (address_checks.proxy_headers, address_checks.public_clock)
"""Checks that need a public address."""
CHECK_TIMEOUT_S: Final = 60.0
_CODES: Final = {Level.FINE: 0, Level.WARNING: 1, Level.ERROR: 2}
_COLOURS: Final = {Level.FINE: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


@click.command()
@click.option("--url", help="Public address, as in https://chat.example.org. Default: CHATBILL_MAIL_BASE_URL.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each finding.")
def doctor(url: str | None, *, as_json: bool) -> None:
    """Look for what is wrong with the settings, the machine, the database, the backups and the proxy.

    It changes nothing, and may run before the service starts and beside it. Exit code 0: all is well; 1: there are
    warnings; 2: there are errors, with which something fails or is unsafe.
    """
    settings = settings_from()
    container = Container(settings=settings)
    url = url or settings.mail_base_url
    around = Surroundings(settings=settings, container=container, url=url, seen=partial(_seen, container, url))
    findings = [*_unknown(), *asyncio.run(examine(around))]
    for finding in findings:
        click.echo(json.dumps(asdict(finding))) if as_json else _print(finding)
    sys.exit(max(_CODES[finding.level] for finding in findings))


async def _seen(container: Container, url: str | None, headers: dict[str, str]) -> Seen:
    settings = container.settings()
    if url is None or not (settings.secret_key or settings.secret_key_file.exists()):
        raise OSError("there is no signing key here yet")  # and none is made, as it would be for a service
    return await ask(url, container.secret_key(), headers)


async def examine(around: Surroundings) -> list[Finding]:
    """Return what each check has found: at least one finding of each."""
    found: list[Finding] = []
    for check in (*CHECKS, *(AT_ADDRESS if around.url else ())):
        looked_at = (inspect.getdoc(check) or "").partition("\n")[0]
        bad = [
            Finding(check=check.__name__, level=each.level, what=each.what, advice=each.advice)
            for each in await _checked(check, around)
        ]
        found += bad or [Finding(check=check.__name__, level=Level.FINE, what=looked_at)]
    return found


async def _checked(check: Check, around: Surroundings) -> list[Bad]:
    """Run one check. A check that cannot be done is an error, and hinders no other."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            found = check(around)
            if isinstance(found, Iterator):
                return await asyncio.to_thread(lambda: list(found))
            return await _gathered(found)
    except TimeoutError:
        return [error(f"This check took longer than {CHECK_TIMEOUT_S:g} s.", "Look what does not answer.")]
    except ChatbillError as failure:
        return [error(render(failure.description), "See the message.")]
    except Exception as failure:  # noqa: BLE001 - other checks go on
        return [error(f"This check failed: {type(failure).__name__}: {failure}", "Report it if the rest works.")]


async def _gathered(found: AsyncIterator[Bad]) -> list[Bad]:
    return [each async for each in found]


def _unknown() -> Iterator[Finding]:
    for message in unknown_variables(os.environ):
        yield Finding(check="variables", level=Level.WARNING, what=message, advice="Correct or remove it.")


def _print(finding: Finding) -> None:
    click.secho(f"{finding.level.value:<8}", fg=_COLOURS[finding.level], nl=False)
    click.echo(f"{finding.check}: {finding.what}")
    if finding.advice:
        click.echo(f"{'':<8}{finding.advice}")
