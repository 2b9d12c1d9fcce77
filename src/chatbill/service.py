"""Composes the service that `chatbill serve` runs from the HTTP API and the web page."""

from __future__ import annotations

from functools import partial
from typing import Any

from chatbill.container import Container
from chatbill.entrypoints.web.background_exports import FOLDER, ExportFolder
from chatbill.entrypoints.web.connections import ConnectionBounds
from chatbill.entrypoints.web.language import N_
from chatbill.entrypoints.web.serving import Mode, Service
from chatbill.entrypoints.web.slow_clients import ClientTimeouts
from chatbill.entrypoints.web.watching import metrics_page
from chatbill.settings import Settings

SANDBOX_NOTE = N_("This is a sandbox: no money is taken.")


def create_service(container: Container, settings: Settings, mode: Mode) -> Service:
    """Return the application of a mode with its limits. Only the packages that the mode needs are imported."""
    service = partial(
        Service,
        drain_s=settings.drain_s,
        shutdown_grace_s=settings.shutdown_grace_s,
        timeouts=ClientTimeouts(receive_s=settings.receive_timeout_s, send_s=settings.send_timeout_s),
        bounds=ConnectionBounds(
            in_all=settings.max_connections,
            per_address=settings.connections_per_address or settings.max_connections // 2,
            trusted_proxies=settings.trusted_proxies,
            # Or sign-ins that wait would take the places of signed-in people.
            uncounted=lambda: container.use_cases().accounts.password_gate.waiting,
        ),
        root_path=settings.root_path,
    )
    if mode == "api":
        return service(_create_api(container, settings, serve_root=True))
    from chatbill.entrypoints.ui import WebConfig, create_web, end_streams  # noqa: PLC0415

    api = _create_api(container, settings, serve_root=False) if mode == "all" else None
    note = SANDBOX_NOTE if container.use_cases().billing.payment_provider == "sandbox" else ""
    temporary = settings.temporary_chats
    config = WebConfig(
        session_s=settings.refresh_token_s,
        payment_note=note,
        max_streams=max(1, settings.max_connections // 2),
        temporary_chats=settings.database.startswith("sqlite") if temporary is None else temporary,
    )
    web = create_web(container.use_cases(), api, config)
    return service(web, has_lifespan=True, on_stop=partial(end_streams, web))


def _create_api(container: Container, settings: Settings, *, serve_root: bool) -> Any:
    from chatbill.entrypoints.http import HttpConfig, create_app  # noqa: PLC0415

    config = HttpConfig(
        engine=settings.engine,
        cors_origins=settings.cors_origins,
        serve_root=serve_root,
        root_path=settings.root_path,
        metrics=metrics_page(container, settings) if settings.metrics_token else None,
        probe_key=container.secret_key(),
        exports=ExportFolder(settings.data_dir / FOLDER),
    )
    return create_app(container.use_cases(), config)
