"""`chatbill backup`: makes, lists, removes, restores and tries backups."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from chatbill.backups import DOUBTFUL
from chatbill.container import Container
from chatbill.entrypoints.cli.wiring import moment_text, run, settings_from

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group()
def backup() -> None:
    """Make, list and try backups at CHATBILL_BACKUP_TO: a folder, or s3://BUCKET/PATH."""


@backup.command()
@_as_json
def make(*, as_json: bool) -> None:
    """Make a backup, and remove those that are no longer kept. A running service goes on meanwhile.

    Exit code 0: the backup is complete; 1: there is none; 3: it is complete, but its ledger is not consistent.
    """
    backups = Container(settings=settings_from()).database_backups()
    made = backups.make()
    removed = [] if made.doubts else backups.prune()
    if as_json:
        click.echo(json.dumps({**asdict(made), "made_at": moment_text(made.made_at), "removed": removed}))
    else:
        sealed = "encrypted" if made.encrypted else "NOT encrypted"
        click.echo(f"{made.name}: {made.size:,} bytes, {sum(made.rows.values()):,} rows, {sealed}.")
        click.echo(f"Older backups that were removed: {len(removed)}.")
    if made.doubts:
        message = "\n  ".join(("Its ledger is NOT consistent, so it could not be restored:", *made.doubts))
        click.echo(f"chatbill: {message}", err=True)
        sys.exit(DOUBTFUL)


@backup.command("list")
@_as_json
def list_(*, as_json: bool) -> None:
    """List the complete backups, the newest first."""
    archive = Container(settings=settings_from()).database_backups().archive
    for name in archive.names():
        made = archive.manifest(name)
        if as_json:
            click.echo(json.dumps({**asdict(made), "made_at": moment_text(made.made_at)}))
            continue
        facts = (
            f"{made.made_at:%Y-%m-%d %H:%M} UTC",
            made.database,
            f"schema {made.revision}",
            f"{made.size:,} bytes",
            "encrypted" if made.encrypted else "not encrypted",
            *(("its ledger is NOT consistent",) if made.doubts else ()),
        )
        click.echo(f"{made.name}  {', '.join(facts)}")


@backup.command()
def prune() -> None:
    """Remove backups that are older than CHATBILL_BACKUP_KEEP_DAYS, but never the newest CHATBILL_BACKUP_KEEP ones."""
    for name in Container(settings=settings_from()).database_backups().prune():
        click.echo(f"removed {name}")


@backup.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Replace an SQLite database that exists, for good.")
def restore(name: str, *, force: bool) -> None:
    """Write the backup NAME into the database at CHATBILL_DATABASE_URL. The service must be stopped.

    For PostgreSQL, it must be a new database without tables of chatbill.
    """
    settings = settings_from()
    manifest = Container(settings=settings).database_backups().restore(name, force=force)
    # No process continues the replies that were running when the copy was made.
    ended = run(settings, lambda container: container.use_cases().maintenance.expire_holds(even_early=True))
    click.echo(
        f"{name} was restored: {sum(manifest.rows.values()):,} rows. Unfinished replies that are now ended, free: "
        f"{ended}. API keys and sign-ins are as they were then: revoked ones are valid again. Prove the ledger by: "
        "chatbill ledger verify"
    )


@backup.command()
@click.argument("name", required=False)
@_as_json
def drill(name: str | None, *, as_json: bool) -> None:
    """Restore the backup NAME, or the newest one, elsewhere, verify its ledger there, and remove it again.

    Exit code 0: it could be restored, and nothing is missing; 1: not.
    """
    report = Container(settings=settings_from()).database_backups().drill(name)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        click.echo(
            f"{report.name} is {report.age_s / 3_600:.1f} hours old. It was fetched in {report.fetch_s:.1f} s, "
            f"restored in {report.restore_s:.1f} s, and verified in {report.verify_s:.1f} s: {report.rows:,} rows."
        )
        for line in report.wrong:
            click.echo(f"WRONG  {line}")
        click.echo("It is NOT good." if report.wrong else "It is complete, and its ledger is consistent.")
    sys.exit(1 if report.wrong else 0)


@backup.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Write a new secret key to FILE, and print the public key.

    The public key is enough to make backups: give the service a file with it alone, and keep FILE elsewhere. Without
    FILE, no backup can be restored.
    """
    click.echo(Container(settings=settings_from()).make_backup_key(file))
