"""`chatbill models`: where models come from, what they need, and whether they fit here."""

from __future__ import annotations

import sys

import click

from chatbill.container import Container
from chatbill.domain.credits import Price
from chatbill.domain.errors import ChatbillError
from chatbill.entrypoints.cli.progress import LoadingProgress
from chatbill.entrypoints.cli.wiring import settings_from

MB = 1_000_000

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
    for spec in container.specs():
        files, offer = library.status(spec), offers[spec.id]
        click.secho(f"{spec.id}  ", bold=True, nl=False)
        click.echo(f"{offer.name}, {offer.tier}, {_price(offer.price)}")
        click.echo(f"    source   {files.source}")
        click.echo(f"    licence  {files.licence}")
        if not files.elsewhere:
            click.echo(f"    files    {_where(files.fetched, files.disk_bytes, files.download_bytes)}")


@models.command()
@click.argument("name")
@_catalogue_option
def pull(name: str, catalogue: str | None) -> None:
    """Fetch the files of a model now, so that `serve` need not."""
    container = Container(settings=settings_from(models=catalogue))
    spec = {spec.id: spec for spec in container.specs()}.get(container.catalogue().pick(name).id)
    if spec is None:
        raise ChatbillError(f"{name} is not in the catalogue")
    files = container.library().status(spec)
    if files.elsewhere:
        click.echo(f"{name} runs on a {files.source}: there is nothing to fetch")
        return
    with LoadingProgress() as progress:
        folder = container.library().ensure(spec, lambda step: progress.report(spec.id, step))
    click.echo(f"{name} is in {folder}")


@models.command()
@_catalogue_option
def check(catalogue: str | None) -> None:
    """Say for each model whether it is fetched and fits in this machine's memory. Exit code 1 when none fits."""
    container = Container(settings=settings_from(models=catalogue))
    library = container.library()
    fitting = 0
    for spec in container.specs():
        fit = library.fits(spec)
        fitting += fit.fits
        click.secho(f"{spec.id}  ", bold=True, nl=False)
        click.secho("fits" if fit.fits else "does not fit", fg="green" if fit.fits else "red", nl=False)
        click.echo(f"{'' if library.status(spec).fetched else ', not fetched yet'}")
        click.echo(f"    {fit.words}")
    sys.exit(0 if fitting else 1)


def _price(price: Price) -> str:
    parts = [f"{price.per_reply} a reply"]
    if price.per_1k_prompt_tokens:
        parts.append(f"{price.per_1k_prompt_tokens} for 1,000 tokens read")
    if price.per_1k_completion_tokens:
        parts.append(f"{price.per_1k_completion_tokens} for 1,000 tokens written")
    return "credits: " + ", ".join(parts)


def _where(fetched: bool, disk_bytes: int, download_bytes: int) -> str:  # noqa: FBT001 - read beside its figures
    if fetched:
        return f"here, {disk_bytes / MB:,.0f} MB on disk"
    return f"to be fetched, {download_bytes / MB:,.0f} MB" if download_bytes else "to be fetched"
