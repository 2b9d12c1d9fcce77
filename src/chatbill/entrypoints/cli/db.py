"""`chatbill db`: the schema of the database, its backups, and the way back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chatbill.container import Container
from chatbill.entrypoints.cli.wiring import run, settings_from


@click.group()
def db() -> None:
    """The schema of the database, and its backups."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date. `serve` does this by itself."""
    schema = Container(settings=settings_from()).schema()
    schema.upgrade()
    click.echo(f"The schema is at {schema.current()}.")


@db.command()
def current() -> None:
    """Say which revision the schema is at, and which one this version of chatbill wants."""
    schema = Container(settings=settings_from()).schema()
    at, head = schema.current(), schema.head()
    note = "" if at == head else f" (this version wants {head}; run: chatbill db upgrade)"
    click.echo(f"{at or 'no schema yet'}{note}")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: Path, force: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Copy the database, as it is at one moment, to FILE. A running service goes on meanwhile.

    Exit code 0: the copy is there and its books agree; 1: there is no copy, or one that could not be restored.
    """
    copy = Container(settings=settings_from()).backups().make(file, force=force)
    click.echo(
        f"The database was copied to {file} ({copy.size:,} bytes). It holds all that people wrote: keep it safe."
    )
    if copy.doubts:
        told = "\n  ".join(("The books in it do NOT agree, so `chatbill db restore` would refuse it:", *copy.doubts))
        click.echo(f"chatbill: {told}", err=True)
        sys.exit(1)


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a database that exists, for good.")
def restore(file: Path, force: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Put the copy in FILE in the database's place, once its books are proved. The service must be stopped."""
    settings = settings_from()
    tally = Container(settings=settings).backups().restore(file, force=force)
    # Nobody writes the replies any more that were being written when the copy was made.
    ended = run(settings, lambda container: container.use_cases().maintenance.expire_holds(even_early=True))
    click.echo(
        f"The database was restored from {file}: {tally.wallets} wallets, {tally.entries} entries, "
        f"{tally.charges} charges. Its books agree. Replies that were unfinished in the copy and are now ended, free: "
        f"{ended}. API keys and sign-ins are as they were then: what was revoked since works again."
    )
