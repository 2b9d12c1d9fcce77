"""Checks that look at the machine, the database and what the service needs beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.doctor.findings import Bad, Surroundings, error, warning
from chatbill.entrypoints.web.texts import render

LEAST_DISK: Final = 0.05
LOW_DISK: Final = 0.15
CLOCK_S: Final = 2.0
WRONG_CLOCK_S: Final = 15.0
HOUR_S: Final = 3_600
OLDEST_POSTGRES: Final = 15
SOUND_SQLITE: Final = (3, 51, 3)


def schema(around: Surroundings) -> Iterator[Bad]:
    """The database answers, and this version can use its schema."""
    found = around.container.schema()
    at = found.current()
    if at is None:
        yield warning("There is no database yet.", "Start the service, or run: chatbill db upgrade")
        return
    try:
        found.check()
    except StoreUnavailable as problem:
        kind = error if at > found.head() else warning
        yield kind(f"The schema is at {at}: {problem}", "Run: chatbill db current")


def versions(around: Surroundings) -> Iterator[Bad]:
    """The versions of the database have no bug that loses data."""
    facts = around.container.database_facts()
    shown = ".".join(map(str, facts.version))
    if facts.kind == "sqlite" and facts.version < SOUND_SQLITE:
        yield warning(
            f"SQLite {shown} has a rare bug that can damage the database.",
            "Install the package pysqlite3, or a Python with SQLite 3.51.3 or newer.",
        )
    if facts.kind == "postgresql" and facts.version < (OLDEST_POSTGRES,):
        yield error(f"PostgreSQL {shown} is not supported.", f"Upgrade it to {OLDEST_POSTGRES} or newer.")


def clock(around: Surroundings) -> Iterator[Bad]:
    """The clock of this machine agrees with the one of the database."""
    yield from clock_differs(around.container.database_facts().clock_ahead_s, "the database")


def clock_differs(ahead_s: float, of: str, *, blur_s: float = 0.0) -> Iterator[Bad]:
    """Yield a finding if this machine's clock is off, with `blur_s` by which the other one is not exact."""
    off_s = abs(ahead_s) - blur_s
    if off_s > CLOCK_S:
        kind, side = error if off_s > WRONG_CLOCK_S else warning, "ahead of" if ahead_s > 0 else "behind"
        yield kind(
            f"The clock of this machine is {abs(ahead_s):.0f} s {side} that of {of}.",
            "Let NTP set the clocks of all machines: holds and sessions end by them.",
        )


def disk(around: Surroundings) -> Iterator[Bad]:
    """The disk of the data has space."""
    machine = around.container.machine().read()
    free = machine.disk_free_bytes / max(1, machine.disk_total_bytes)
    if free < LOW_DISK:
        kind = error if free < LEAST_DISK else warning
        yield kind(
            f"{free:.0%} of the disk of {around.settings.data_dir} is free.", "Make room, or move CHATBILL_DATA_DIR."
        )


async def models(around: Surroundings) -> AsyncIterator[Bad]:
    """The models fit into the memory, and servers of models answer."""
    found: list[dict[str, Any]] = []
    if around.settings.engine == "scripted":
        return
    await around.container.model_check()(run=False, tell=lambda checked: found.append(checked.figures(render)))
    for each in found:
        if each["trouble"]:
            yield error(f"The model {each['id']} cannot be used: {each['trouble']}", "See: chatbill models check")
        elif not each["fits"]:
            kind = warning if any(other["fits"] for other in found) else error
            yield kind(f"The model {each['id']} does not fit: {each['words']}", "See: chatbill models check")


def backups(around: Surroundings) -> Iterator[Bad]:
    """There is a backup that is not old, and a thief of it cannot read it."""
    settings = around.settings
    if settings.backup_to is None:
        yield warning("No backups are made.", "Set CHATBILL_BACKUP_TO; see docs/backups.md.")
        return
    if settings.backup_key_file is None:
        yield warning("Backups are not encrypted.", "Run `chatbill backup key FILE`, and set CHATBILL_BACKUP_KEY_FILE.")
    backups = around.container.database_backups()
    age_s = backups.age_s()
    if age_s is None:
        yield error("There is no backup yet.", "Run: chatbill backup make")
    elif settings.backup_every_hours and age_s > 2 * settings.backup_every_hours * HOUR_S:
        yield error(f"The last backup is {age_s / HOUR_S:.0f} hours old.", "See: chatbill jobs list --kind back_up")


async def mail(around: Surroundings) -> AsyncIterator[Bad]:
    """The mail server, if one is set, takes the connection and the password."""
    probe = around.container.mail_probe()
    if probe is None:
        return
    try:
        await probe()
    except (ChatbillError, TimeoutError) as failure:
        settings = around.settings
        yield error(
            f"The mail server {settings.mail_host}:{settings.mail_port} cannot be used: {failure}",
            "Check CHATBILL_MAIL_HOST, _PORT, _TLS, _USERNAME and _PASSWORD.",
        )
