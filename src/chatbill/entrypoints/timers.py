"""What runs by itself beside the requests: the sweep of holds, and the forgetting of old sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from chatbill.application.service import UseCases

FORGET_INTERVAL_S = 3_600.0

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def timers(use_cases: UseCases, *, sweep_interval_s: float) -> AsyncIterator[None]:
    """Sweep at once and then every `sweep_interval_s` seconds while entered; a failed sweep is logged and retried."""
    tasks = [
        asyncio.create_task(_every(sweep_interval_s, use_cases.expire_holds, "sweep of holds")),
        asyncio.create_task(_every(FORGET_INTERVAL_S, use_cases.forget_sessions, "forgetting of sessions")),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _every(interval_s: float, work: Callable[[], Awaitable[int]], name: str) -> None:
    while True:
        try:
            if count := await work():
                _log.info(name, count=count)
        except Exception:  # noqa: BLE001 - a timer goes on whatever one run of it met
            _log.exception("timer failed", timer=name)
        await asyncio.sleep(interval_s)
