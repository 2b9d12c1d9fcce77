"""What every command begins with: settings, logs, a container, and a store that is closed at the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

from chatbill.container import Container
from chatbill.logs import set_up_logs
from chatbill.settings import Settings, load_settings, misspelt

T = TypeVar("T")

_log = structlog.get_logger(__name__)


def settings_from(**chosen: Any) -> Settings:
    """The settings, with the command's own options over them, and logs set up as they say.

    Raises `SettingsError` with words for the operator.
    """
    settings = load_settings(os.environ, **chosen)
    set_up_logs(log_format=settings.log_format, log_level=settings.log_level)
    for sentence in misspelt(os.environ):
        _log.warning(sentence)
    return settings


def run(settings: Settings, work: Callable[[Container], Awaitable[T]], *, upgrade: bool = True) -> T:
    """Do the work with a container and close what was opened; see `opened`."""

    async def main() -> T:
        async with opened(settings, upgrade=upgrade) as container:
            return await work(container)

    return asyncio.run(main())


@asynccontextmanager
async def opened(settings: Settings, *, upgrade: bool = True) -> AsyncIterator[Container]:
    """A container on an up-to-date database; the store is closed at the end.

    Where `upgrade` is False, a database that is not there or not up to date is refused and left as it is.
    """
    container = Container(settings=settings)
    schema = container.schema()
    await asyncio.to_thread(schema.upgrade if upgrade else schema.check)
    try:
        yield container
    finally:
        await container.store().close()
        container.passwords().close()
