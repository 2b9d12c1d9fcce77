"""`chatbill codes`: codes that redeem credits."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import IssuedCode, NewCode
from chatbill.application.administration.list_codes import CodeRecord
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.container import Container
from chatbill.domain.shared.ids import CodeId
from chatbill.entrypoints.cli.wiring import MOMENT, moment_text, run, settings_from
from chatbill.entrypoints.web.texts import credits_text

_by = click.option("--by", required=True, metavar="STAFF", help="The member of the staff who does it, for the record.")


@click.group()
def codes() -> None:
    """Make, list and withdraw codes that redeem credits."""


@codes.command()
@click.argument("amount", type=int, metavar="CREDITS")
@click.option("--uses", type=int, default=1, show_default=True, help="How many people can redeem it, each once.")
@click.option("--expires", type=MOMENT, help="The moment of its end, in UTC. Default: never.")
@_by
def create(amount: int, uses: int, expires: datetime | None, by: str) -> None:
    """Print a new code for CREDITS. It is not stored and cannot be shown again."""
    order = NewCode(credits=amount, uses=uses, expires_at=expires and expires.replace(tzinfo=UTC))

    async def work(container: Container) -> IssuedCode:
        administration = container.use_cases().administration
        return await administration.create_code(await administration.find_administrator(by), order)

    issued = run(settings_from(), work, upgrade=False)
    click.echo(issued.text)
    click.echo(f"{credits_text(amount)} for each of {uses:,}. To withdraw it: {issued.code.id}", err=True)


@codes.command("list")
@_by
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each code.")
def list_(by: str, *, as_json: bool) -> None:
    """List all codes, the newest first."""

    async def work(container: Container) -> None:
        administration, cursor = container.use_cases().administration, None
        staff = await administration.find_administrator(by)
        while True:
            page = await administration.list_codes(staff, limit=MAX_PAGE, cursor=cursor)
            for record in page.items:
                click.echo(json.dumps(_figures(record)) if as_json else _line(record))
            if (cursor := page.next_cursor) is None:
                return

    run(settings_from(), work, upgrade=False)


@codes.command()
@click.argument("code_id", metavar="ID")
@_by
@click.option("--reason", required=True, help="The reason for the record.")
def withdraw(code_id: str, by: str, reason: str) -> None:
    """End the code with this ID for good. Credits that were redeemed stay."""
    order = AdminAction(reason=reason)

    async def work(container: Container) -> None:
        administration = container.use_cases().administration
        await administration.withdraw_code(await administration.find_administrator(by), CodeId(code_id), order)

    run(settings_from(), work, upgrade=False)
    click.echo("The code redeems nothing any more.")


def _figures(record: CodeRecord) -> dict[str, object]:
    code = record.code
    return {
        "id": code.id,
        "credits": code.credits,
        "uses": code.uses,
        "used": record.used,
        "created_at": moment_text(code.created_at),
        "created_by": code.created_by,
        "expires_at": code.expires_at and moment_text(code.expires_at),
        "withdrawn_at": code.withdrawn_at and moment_text(code.withdrawn_at),
    }


def _line(record: CodeRecord) -> str:
    code = record.code
    facts = [credits_text(code.credits), f"redeemed by {record.used:,} of {code.uses:,}"]
    facts += [f"ends {code.expires_at:%Y-%m-%d %H:%M} UTC"] if code.expires_at else []
    facts += [f"withdrawn {code.withdrawn_at:%Y-%m-%d %H:%M} UTC"] if code.withdrawn_at else []
    return f"{code.id}  {', '.join(facts)}"
