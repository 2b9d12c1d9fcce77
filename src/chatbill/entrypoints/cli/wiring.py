"""Gives commands their settings, logs, and a container whose store is closed at the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import click
import structlog

from chatbill.container import Container
from chatbill.error_reports import reporting_errors
from chatbill.logs import set_up_logs
from chatbill.monitors import is_read_by_prometheus, together
from chatbill.settings import Settings, load_settings, unknown_variables

T = TypeVar("T")
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
"""The type of an option with a moment in UTC."""

_log = structlog.get_logger(__name__)


def settings_from(**chosen: Any) -> Settings:
    """Return the settings with the options of the command applied, and set up logging.

    Raises `SettingsError` with a message for the operator.
    """
    settings = load_settings(os.environ, **chosen)
    set_up_logs(log_format=settings.log_format, log_level=settings.log_level)
    for message in unknown_variables(os.environ):
        _log.warning("unknown_variable", advice=message)
    return settings


def moment_text(at: datetime) -> str:
    """Return a moment in UTC as programs read it."""
    return at.isoformat().replace("+00:00", "Z")


def run(settings: Settings, work: Callable[[Container], Awaitable[T]], *, upgrade: bool = True) -> T:
    """Run the work with a container, and close the container at the end; see `open_container`."""

    async def main() -> T:
        async with open_container(settings, upgrade=upgrade) as container:
            return await work(container)

    return asyncio.run(main())


@asynccontextmanager
async def open_container(
    settings: Settings, *, upgrade: bool = True, watched: bool = False
) -> AsyncIterator[Container]:
    """Return a container on an up-to-date database, and close its store at the end.

    If `upgrade` or the setting is False, a database that is missing or not up to date is refused and left unchanged. If
    it is `watched`, there are metrics, traces and reports of errors, as far as settings say where they go.
    """
    container = Container(settings=settings)
    reporter, traces = (container.error_reporter(), container.traces()) if watched else (None, None)
    if watched:
        prometheus = container.prometheus() if is_read_by_prometheus(settings) else None
        container.metrics.override(together(prometheus, traces))
    shared_server = container.shared_server()
    schema = container.schema()
    await asyncio.to_thread(schema.upgrade if upgrade and settings.migrate_at_start else schema.check)
    try:
        with reporting_errors(reporter):
            yield container
    finally:
        await container.store().close()
        if probes := container.probe_store():
            await probes.close()
        container.passwords().close()
        await container.signals().close()
        if shared_server is not None:
            await shared_server.close()
        for each in (reporter, traces):
            if each is not None:
                await asyncio.to_thread(each.close)
