"""What runs by itself beside the requests: the sweep, stops asked for elsewhere, and the forgetting of sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from chatbill.application.assembly import UseCases

FORGET_INTERVAL_S = 3_600.0
HEED_INTERVAL_S = 0.5
"""How long a reply may go on that another process was asked to stop. Nothing is read while no reply is written."""
AFTER_FAILURE_S = 5.0
"""What failed is not tried again before, or the log would be full of it."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def timers(use_cases: UseCases, *, sweep_interval_s: float) -> AsyncIterator[None]:
    """Sweep at once and then every `sweep_interval_s` seconds while entered, and do the rest at its own pace.

    What fails is logged and tried again.
    """
    tasks = [
        asyncio.create_task(_every(sweep_interval_s, use_cases.maintenance.expire_holds, "sweep of holds")),
        asyncio.create_task(
            _every(HEED_INTERVAL_S, use_cases.chat.apply_stop_requests, "replies stopped for another process")
        ),
        asyncio.create_task(_every(FORGET_INTERVAL_S, use_cases.maintenance.forget_sessions, "forgetting of sessions")),
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
            await asyncio.sleep(max(0.0, AFTER_FAILURE_S - interval_s))
        await asyncio.sleep(interval_s)
