"""`chatbill models`: sources, sizes, memory and speed of models."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

import click

from chatbill.container import Container
from chatbill.domain.billing.prices import Price
from chatbill.domain.shared.errors import ChatbillError
from chatbill.entrypoints.cli.progress import LoadingProgress
from chatbill.entrypoints.cli.wiring import settings_from
from chatbill.entrypoints.web.texts import render

MB = 1_000_000
_ENGINES = {
    "transformers": "Transformers",
    "llama_cpp": "llama.cpp",
    "server": "the server",
    None: "the server",
}

Figures: TypeAlias = Mapping[str, Any]

_catalogue_option = click.option(
    "--models",
    "catalogue",
    help="demo, gemma, gemma-gguf, or the path of a catalogue file. Default: the setting CHATBILL_MODELS.",
)


@click.group()
def models() -> None:
    """Show sources, sizes, memory and speed of models."""


@models.command("list")
@_catalogue_option
def list_(catalogue: str | None) -> None:
    """List the models of the catalogue with their prices, sources and sizes."""
    container = Container(settings=settings_from(models=catalogue))
    offers, library, engines = container.catalogue(), container.library(), container.local_engines()
    for spec in container.specs():
        files, offer = library.status(spec), offers[spec.id]
        click.secho(f"{spec.id}  ", bold=True, nl=False)
        click.echo(f"{offer.name}, {offer.tier}, {_price(offer.price)}")
        click.echo(f"    source   {files.source}")
        click.echo(f"    engine   {_ENGINES[engines.engine_of(spec)]}")
        click.echo(f"    licence  {files.licence}")
        if not files.elsewhere:
            click.echo(f"    files    {files.fault or _where(files.fetched, files.disk_bytes, files.download_bytes)}")
        if fault := engines.fault_of(spec):
            click.secho(f"    trouble  {fault}", fg="red")


@models.command()
@click.argument("name")
@_catalogue_option
def pull(name: str, catalogue: str | None) -> None:
    """Fetch the files of a model now instead of at the start of `serve`."""
    container = Container(settings=settings_from(models=catalogue))
    spec = {spec.id: spec for spec in container.specs()}.get(container.catalogue().pick(name).id)
    if spec is None:
        raise ChatbillError(f"{name} is not in the catalogue")
    files = container.library().status(spec)
    if files.elsewhere:
        click.echo(f"{name} runs on a {files.source}: there is nothing to fetch")
        return
    if fault := container.local_engines().fault_of(spec):
        raise ChatbillError(fault)
    if files.fault and files.download_bytes:
        click.echo(f"{files.folder} holds no whole model and is fetched again: {files.fault}")
    with LoadingProgress() as progress:
        folder = container.library().ensure(spec, lambda step: progress.report(spec.id, step))
    click.echo(f"{name} is in {folder}")


@models.command()
@_catalogue_option
@click.option("--no-run", is_flag=True, help="Load no model, ask no server, and do not measure the speed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each model.")
def check(catalogue: str | None, *, no_run: bool, as_json: bool) -> None:
    """Print for each model its source, its memory, whether it fits on this machine, and its speed.

    Each model that is fetched and fits is loaded alone and writes some tokens. Each model on a server is asked for some
    tokens, which its owner may charge. Run it while the service is stopped, because both would slow each other down.
    Exit code 0: messages could be answered; 1: no model fits, or one cannot be used, and "trouble" says why.
    """
    container = Container(settings=settings_from(models=catalogue))
    report = _print_json if as_json else _print_text
    works = asyncio.run(container.model_check()(run=not no_run, tell=lambda checked: report(checked.figures(render))))
    sys.exit(0 if works else 1)


def _print_json(figures: Figures) -> None:
    click.echo(json.dumps(figures))


def _print_text(figures: Figures) -> None:
    click.secho(f"{figures['id']}  ", bold=True, nl=False)
    verdict, is_good = _verdict(figures)
    click.secho(verdict, fg="green" if is_good else "red")
    click.echo(f"    source   {figures['source']}")
    click.echo(f"    engine   {_ENGINES[figures['engine']]}")
    click.echo(f"    licence  {figures['licence'] or 'not said'}")
    if not figures["elsewhere"]:
        if figures["fetched"] or not figures["source"].startswith("folder "):
            click.echo(f"    files    {_where(figures['fetched'], figures['disk_bytes'], figures['download_bytes'])}")
        click.echo(f"    memory   {figures['words']}")
    else:
        click.echo(f"    key      {figures['key']}")
        if figures["advice"]:
            click.echo(f"    advice   {figures['advice']}")
    if figures["speed"]:
        click.echo(f"    speed    {_speed(**figures['speed'])}")
    if figures["int8"]:
        click.echo(f"    int8     {', '.join(_product(**product) for product in figures['int8'])}")
    if figures["trouble"]:
        click.secho(f"    trouble  {figures['trouble']}", fg="red")


def _verdict(figures: Figures) -> tuple[str, bool]:
    """Return the verdict, and whether it is good."""
    if figures["trouble"]:
        return "cannot be used", False
    if figures["elsewhere"]:
        return ("works", True) if figures["speed"] else ("is on a server, which was not asked", True)
    if not figures["fits"]:
        return "does not fit", False
    return "fits" if figures["fetched"] else "fits, not fetched yet", True


def _speed(how: str, *, tokens_per_s: float, first_token_s: float, load_s: float) -> str:
    if how == "estimate":
        return f"estimate: at most {tokens_per_s:,.1f} tokens/s, as fast as this machine reads memory"
    loaded = f", loaded in {load_s:.1f} s" if load_s >= 0.1 else ""  # noqa: PLR2004 - less means that it was loaded before
    return f"{tokens_per_s:,.1f} tokens/s measured, first token after {first_token_s:.2f} s{loaded}"


def _product(rows: int, *, product: str, weights_per_s: float) -> str:
    """Return how many rows are multiplied in which way and how fast, in gigabytes of int8 weights a second."""
    return f"{rows} {'row' if rows == 1 else 'rows'} {product} {weights_per_s / 1e9:.1f} GB/s"


def _price(price: Price) -> str:
    parts = [f"{price.per_reply} a reply"]
    if price.per_1k_prompt_tokens:
        parts.append(f"{price.per_1k_prompt_tokens} for 1,000 tokens read")
    if price.per_1k_completion_tokens:
        parts.append(f"{price.per_1k_completion_tokens} for 1,000 tokens written")
    return "credits: " + ", ".join(parts)


def _where(fetched: bool, disk_bytes: int, download_bytes: int) -> str:  # noqa: FBT001 - private
    if fetched:
        return f"here, {disk_bytes / MB:,.0f} MB on disk"
    return f"to be fetched, {download_bytes / MB:,.0f} MB" if download_bytes else "to be fetched"
