"""`chatbill db`: the schema of the database."""

from __future__ import annotations

import click

from chatbill.container import Container
from chatbill.entrypoints.cli.wiring import settings_from


@click.group()
def db() -> None:
    """The schema of the database."""


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
