"""Runs the periodic jobs: the sweep of holds, stop requests of other processes, and the removal of old sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from chatbill.application.assembly import UseCases

SESSIONS_INTERVAL_S = 3_600.0
ROLL_UP_INTERVAL_S = 60.0
STOP_REQUESTS_INTERVAL_S = 0.5
"""The longest delay of a stop request that another process took. The store is read only while replies are written."""
RETRY_DELAY_S = 5.0
"""The shortest delay after a failure, so that the log does not fill up."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def timers(use_cases: UseCases, *, sweep_interval_s: float) -> AsyncIterator[None]:
    """Run the periodic jobs while entered; the sweep runs at once and then every `sweep_interval_s` seconds.

    A job that fails is logged and tried again.
    """
    tasks = [
        asyncio.create_task(_every(sweep_interval_s, use_cases.maintenance.expire_holds, "sweep of holds")),
        asyncio.create_task(
            _every(STOP_REQUESTS_INTERVAL_S, use_cases.chat.apply_stop_requests, "replies stopped for another process")
        ),
        asyncio.create_task(
            _every(SESSIONS_INTERVAL_S, use_cases.maintenance.forget_sessions, "forgetting of sessions")
        ),
        asyncio.create_task(
            _every(SESSIONS_INTERVAL_S, use_cases.maintenance.forget_events, "forgetting of billing events")
        ),
        asyncio.create_task(_every(ROLL_UP_INTERVAL_S, use_cases.reports.roll_up, "days rolled up for reports")),
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
        except Exception:  # noqa: BLE001 - a timer goes on after any failure
            _log.exception("timer failed", timer=name)
            await asyncio.sleep(max(0.0, RETRY_DELAY_S - interval_s))
        await asyncio.sleep(interval_s)
