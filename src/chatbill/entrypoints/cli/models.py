"""`chatbill models`: where models come from, what they need, and whether they fit here."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from chatbill.container import Container
from chatbill.domain.errors import ChatbillError
from chatbill.entrypoints.cli.progress import LoadingProgress
from chatbill.entrypoints.cli.wiring import settings_from

GIB = 1 << 30

_catalogue_option = click.option(
    "--models", "catalogue", help="demo, gemma, or the path of a catalogue file. Default: the setting CHATBILL_MODELS."
)


@click.group()
def models() -> None:
    """Where models come from, what they need, and whether they fit here."""


@models.command("list")
@_catalogue_option
def list_(catalogue: str | None) -> None:
    """List the models of the catalogue with their prices, sources and sizes."""
    container = Container(settings=settings_from(models=catalogue))
    offers, library = container.catalogue(), container.library()
    table = Table("id", "name", "tier", "price", "source", "on disk", "to download", "licence")
    for spec in container.specs():
        files, offer = library.status(spec), offers[spec.id]
        price = f"{offer.price.per_reply} a reply"
        table.add_row(
            spec.id,
            offer.name,
            offer.tier,
            price,
            files.source,
            _size(files.disk_bytes),
            _size(files.download_bytes),
            files.licence,
        )
    Console().print(table)


@models.command()
@click.argument("name")
@_catalogue_option
def pull(name: str, catalogue: str | None) -> None:
    """Fetch the files of a model now, so that `serve` need not."""
    container = Container(settings=settings_from(models=catalogue))
    spec = {spec.id: spec for spec in container.specs()}.get(container.catalogue().pick(name).id)
    if spec is None:
        raise ChatbillError(f"{name} is not in the catalogue")
    with LoadingProgress() as progress:
        folder = container.library().ensure(spec, lambda step: progress.report(spec.id, step))
    click.echo(f"{name} is in {folder}")


@models.command()
@_catalogue_option
def check(catalogue: str | None) -> None:
    """Say for each model whether it is fetched and fits in this machine's memory. Exit code 1 when none fits."""
    container = Container(settings=settings_from(models=catalogue))
    library = container.library()
    table = Table("id", "fetched", "fits here", "what that means")
    fitting = 0
    for spec in container.specs():
        fit = library.fits(spec)
        fitting += fit.ok
        fetched = "yes" if library.status(spec).fetched else "no"
        table.add_row(spec.id, fetched, "yes" if fit.ok else "no", fit.words)
    Console().print(table)
    sys.exit(0 if fitting else 1)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.2f} GiB" if size_bytes else "-"
