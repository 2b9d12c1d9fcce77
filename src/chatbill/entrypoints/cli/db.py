"""`chatbill db`: the schema of the database, backup and restore."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chatbill.container import Container
from chatbill.entrypoints.cli.wiring import run, settings_from


@click.group()
def db() -> None:
    """Manage the schema of the database, backup and restore."""


@db.command()
def upgrade() -> None:
    """Upgrade the schema. `serve` does this by itself, unless CHATBILL_MIGRATE_AT_START is false."""
    schema = Container(settings=settings_from()).schema()
    schema.upgrade()
    click.echo(f"The schema is at {schema.current()}.")


@db.command()
def current() -> None:
    """Print the revision of the schema, and what to do if it is not that of this version of chatbill."""
    schema = Container(settings=settings_from()).schema()
    at, advice = schema.current(), schema.advice()
    click.echo(f"{at or 'no schema yet'}{advice and f' ({advice})'}")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: Path, force: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Copy the database at one moment to FILE. A running service goes on meanwhile.

    Exit code 0: the copy was made and its ledger is consistent; 1: there is no copy, or one that could not be restored.
    """
    copy = Container(settings=settings_from()).file_copies().make(file, force=force)
    click.echo(
        f"The database was copied to {file} ({copy.size:,} bytes). It holds everything that users wrote: keep it safe."
    )
    if copy.doubts:
        message = "\n  ".join(("Its ledger is NOT consistent, so `chatbill db restore` would refuse it:", *copy.doubts))
        click.echo(f"chatbill: {message}", err=True)
        sys.exit(1)


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a database that exists, for good.")
def restore(file: Path, force: bool) -> None:  # noqa: FBT001 - click passes a flag
    """Verify the ledger of the copy in FILE, and replace the database with it. The service must be stopped."""
    settings = settings_from()
    tally = Container(settings=settings).file_copies().restore(file, force=force)
    # No process continues the replies that were running when the copy was made.
    ended = run(settings, lambda container: container.use_cases().maintenance.expire_holds(even_early=True))
    click.echo(
        f"The database was restored from {file}: {tally.wallets} wallets, {tally.entries} entries, "
        f"{tally.charges} charges. Its ledger is consistent. Replies that were unfinished in the copy and "
        f"are now ended, free: {ended}. API keys and sign-ins are as they were then: revoked ones are valid again."
    )
