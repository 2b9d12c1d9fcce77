"""Gives the metrics of a service to Prometheus, as its settings say."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog

from chatbill.container import Container
from chatbill.entrypoints.web.metrics import MetricsPage, serving_metrics
from chatbill.entrypoints.web.serving import bind
from chatbill.settings import Settings

_log = structlog.get_logger(__name__)


def metrics_page(container: Container, settings: Settings) -> MetricsPage:
    """Return the page that Prometheus reads."""
    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    return MetricsPage(
        refresh=container.use_cases().monitoring.read_figures, render=container.prometheus().rendered, token=token
    )


@contextlib.asynccontextmanager
async def metrics_port(container: Container, settings: Settings) -> AsyncIterator[None]:
    """Serve the metrics on a port of their own while entered, if a setting has one. Raises `CannotListen`."""
    if settings.metrics_port is None:
        yield
        return
    with bind(settings.metrics_host, settings.metrics_port, option="CHATBILL_METRICS_PORT") as sock:
        host, port = sock.getsockname()[:2]
        _log.info("metrics_served", host=host, port=port)
        async with serving_metrics(metrics_page(container, settings), sock):
            yield
