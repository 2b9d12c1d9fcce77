"""`chatbill serve`: runs the service."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from functools import partial

import click
import structlog
from uvicorn.loops.auto import auto_loop_factory

from chatbill.container import Container
from chatbill.entrypoints.cli.progress import LoadingProgress
from chatbill.entrypoints.cli.wiring import open_container, settings_from
from chatbill.entrypoints.cli.workers import Supervisor, WorkerPlace, worker_command
from chatbill.entrypoints.web.background_exports import FOLDER, ExportFolder
from chatbill.entrypoints.web.serving import Mode, Service, bind
from chatbill.entrypoints.web.serving import serve as run_service
from chatbill.entrypoints.web.texts import render
from chatbill.entrypoints.web.timers import timers
from chatbill.entrypoints.web.watching import metrics_port
from chatbill.logs import instance
from chatbill.settings import Settings, SettingsError

CreateService = Callable[[Container, Settings, Mode], Service]
"""Makes what a mode serves. The command is given it, because the command line knows neither the API nor the page."""

_log = structlog.get_logger(__name__)


@click.command()
@click.option("--host", help="Address to listen on. Default: the setting CHATBILL_HOST, 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 picks a free one. Default: 8000.")
@click.option("--models", help="demo, gemma, gemma-gguf, or the path of a catalogue file. Default: demo.")
@click.option(
    "--mode", type=click.Choice(["all", "api", "ui"]), default="all", show_default=True, help="What to serve."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes on the port; for PostgreSQL."
)
@click.option("--worker", "place", callback=lambda _ctx, _option, text: text and WorkerPlace.parse(text), hidden=True)
@click.pass_obj
def serve(
    create_service: CreateService,
    *,
    host: str | None,
    port: int | None,
    models: str | None,
    mode: Mode,
    workers: int,
    place: WorkerPlace | None,
) -> None:
    """Upgrade the database, load the models, and serve the web page and the API until Ctrl-C or SIGTERM."""
    settings = settings_from(host=host, port=port, models=models)
    sock = place.socket() if place else bind(settings.host, settings.port)
    runner = asyncio.Runner(loop_factory=auto_loop_factory())
    if workers > 1:
        _prepare_workers(settings)
        command = worker_command({"host": host, "models": models, "mode": mode})
        announce = partial(click.echo, _ready_message(sock, mode, settings.root_path))
        with sock, runner:
            sys.exit(runner.run(Supervisor(command=command, sock=sock, count=workers, announce=announce).run()))
    if place:
        # No proxy can keep a browser at one of the workers.
        settings = settings.model_copy(update={"temporary_chats": False})
    if place and settings.metrics_port:
        settings = settings.model_copy(update={"metrics_port": settings.metrics_port + place.number})
    with sock, Container(settings=settings).service_lock(), runner:
        runner.run(_serve(create_service, settings, sock, mode, place))


def _prepare_workers(settings: Settings) -> None:
    """Do once what each worker would do. Raises `SettingsError` where there may be one process only."""
    if not settings.database.startswith("postgresql"):
        raise SettingsError("--workers needs PostgreSQL: set CHATBILL_DATABASE_URL. SQLite is for one process.")
    if sys.platform == "win32":
        raise SettingsError("--workers does not work on Windows: run several services on ports of their own.")
    container = Container(settings=settings)
    schema = container.schema()
    if settings.migrate_at_start:
        schema.upgrade()
    else:
        schema.check()
    container.secret_key()


async def _serve(
    create_service: CreateService, settings: Settings, sock: socket.socket, mode: Mode, place: WorkerPlace | None
) -> None:
    async with open_container(settings, watched=True) as container:
        progress = LoadingProgress()
        container.report.override(progress.report)
        engine = container.engine()  # a model that cannot be run ends the command before anything begins
        try:
            async with (
                timers(
                    container.use_cases(),
                    sweep_interval_s=settings.sweep_interval_s,
                    run_jobs=settings.run_jobs,
                    exports=ExportFolder(settings.data_dir / FOLDER),
                    instance=instance(),
                ),
                metrics_port(container, settings),
            ):
                service = create_service(container, settings, mode)
                _keep_for_good()
                with progress:
                    await engine.start()
                _log_unavailable_models(container)
                _log_sandbox(container)
                if place:
                    place.end_with_supervisor()
                announce = (
                    place.say_ready if place else partial(click.echo, _ready_message(sock, mode, settings.root_path))
                )
                await run_service(service, sock, container.use_cases().chat.replies, announce=announce)
        finally:
            # After the timers, or they would find that no model is available.
            await engine.close()


def _keep_for_good() -> None:
    """Exempt all that was made so far from garbage collection: a full one would stop every reply for 0.1 s or more.

    Models come later, because they may be unloaded.
    """
    gc.collect()
    gc.freeze()
    # A charged message makes some thousand objects, so by default it is searched several times for what is garbage.
    gc.set_threshold(10_000, 20, 20)


def _log_unavailable_models(container: Container) -> None:
    for offer in container.use_cases().chat.list_models():
        if not offer.available:
            reason = offer.status.reason
            _log.warning("model_not_offered", model=offer.model.id, reason=reason and render(reason))


def _log_sandbox(container: Container) -> None:
    if container.use_cases().billing.payment_provider == "sandbox":
        advice = "payments are a sandbox: people get credits without paying"
        _log.warning("sandbox_payments", setting="CHATBILL_PAYMENTS", advice=advice)


def _ready_message(sock: socket.socket, mode: Mode, root_path: str) -> str:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{'localhost' if host in {'0.0.0.0', '::'} else shown}:{port}{root_path}"  # noqa: S104 - only compared
    parts = {"all": f"chat at {base}/  API at {base}/docs", "api": f"API at {base}/docs", "ui": f"chat at {base}/"}
    return f"chatbill is ready: {parts[mode]}"
