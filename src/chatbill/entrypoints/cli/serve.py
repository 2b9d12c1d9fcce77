"""`chatbill serve`: the service itself."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import Any, Literal

import click
import structlog

from chatbill.container import Container
from chatbill.entrypoints.cli.progress import LoadingProgress
from chatbill.entrypoints.cli.wiring import opened, settings_from
from chatbill.entrypoints.web.serving import Serving, bind
from chatbill.entrypoints.web.serving import serve as serve_app
from chatbill.entrypoints.web.texts import render
from chatbill.entrypoints.web.timers import timers
from chatbill.settings import Settings

Mode = Literal["all", "api", "ui"]
SANDBOX_NOTE = "This is a sandbox: no money is taken."

_log = structlog.get_logger(__name__)


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting CHATBILL_HOST, 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 picks a free one. Default: 8000.")
@click.option("--models", help="demo, gemma, or the path of a catalogue file. Default: demo.")
@click.option(
    "--mode", type=click.Choice(["all", "api", "ui"]), default="all", show_default=True, help="What to serve."
)
def serve(host: str | None, port: int | None, models: str | None, mode: Mode) -> None:
    """Make database and models ready, then serve the web page and the API until Ctrl-C or SIGTERM."""
    settings = settings_from(host=host, port=port, models=models)
    sock = bind(settings.host, settings.port)
    with sock:
        asyncio.run(_serve(settings, sock, mode))


async def _serve(settings: Settings, sock: socket.socket, mode: Mode) -> None:
    async with opened(settings) as container:
        progress = LoadingProgress()
        container.report.override(progress.report)
        async with timers(container.use_cases(), sweep_interval_s=settings.sweep_interval_s):
            try:
                with progress:
                    await container.engine().start()
                _say_what_is_missing(container)
                app, serving = _app(container, settings, mode)
                await serve_app(
                    app, sock, container.replies(), serving, announce=lambda: click.echo(_addresses(sock, mode))
                )
            finally:
                await container.engine().close()


def _say_what_is_missing(container: Container) -> None:
    for offer in container.list_models()():
        reason = offer.status.reason
        if not offer.available:
            _log.warning("a model is not available", model=offer.model.id, reason=reason and render(reason))


def _app(container: Container, settings: Settings, mode: Mode) -> tuple[Any, Serving]:
    """The ASGI application of a mode, and how to serve it; only what the mode needs is imported."""
    use_cases, api = container.use_cases(), None
    serving = Serving(
        shutdown_grace_s=settings.shutdown_grace_s,
        receive_timeout_s=settings.receive_timeout_s,
        max_connections=settings.max_connections,
        trusted_proxies=settings.trusted_proxies,
    )
    if mode in {"all", "api"}:
        from chatbill.entrypoints.http import HttpConfig, create_app  # noqa: PLC0415

        config = HttpConfig(engine=settings.engine, cors_origins=settings.cors_origins, serve_root=mode == "api")
        api = create_app(use_cases, config)
    if mode == "api":
        return api, serving
    from chatbill.entrypoints.ui import WebConfig, create_web, end_streams  # noqa: PLC0415

    note = SANDBOX_NOTE if container.payments().name == "sandbox" else ""
    mounted: Any = api
    web = create_web(use_cases, mounted, WebConfig(session_s=settings.refresh_token_s, payment_note=note))
    return web, replace(serving, has_lifespan=True, let_go=lambda: end_streams(web))


def _addresses(sock: socket.socket, mode: Mode) -> str:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{'localhost' if host in {'0.0.0.0', '::'} else shown}:{port}"  # noqa: S104 - only compared
    parts = {"all": f"chat at {base}/  API at {base}/docs", "api": f"API at {base}/docs", "ui": f"chat at {base}/"}
    return f"chatbill is ready: {parts[mode]}"
