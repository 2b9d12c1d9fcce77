"""Runs what each process does at intervals, and the jobs: the sweep of holds, stop requests of other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from chatbill.application.assembly import UseCases
from chatbill.application.shared.lease import RENEWED_EVERY_S
from chatbill.entrypoints.web.background_exports import ExportFolder, export_runner

ROLL_UP_INTERVAL_S = 60.0
WATCH_INTERVAL_S = 30.0
STOP_REQUESTS_INTERVAL_S = 0.5
"""The longest delay of a stop request that another process took. The store is read only while replies are written."""
RETRY_DELAY_S = 5.0
"""The shortest delay after a failure, so that the log does not fill up."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def timers(
    use_cases: UseCases,
    *,
    sweep_interval_s: float,
    run_jobs: bool = True,
    exports: ExportFolder | None = None,
    instance: str = "",
) -> AsyncIterator[None]:
    """Run what each process does at intervals; the sweep runs at once and then every `sweep_interval_s` seconds.

    A timer that fails is logged and tried again. With `run_jobs`, jobs are done too: what one process of many
    does, and exports are written into a folder. With the name of this `instance`, alerts are opened for what is wrong
    with it.
    """
    tasks = [
        asyncio.create_task(_every(sweep_interval_s, use_cases.maintenance.expire_holds, "sweep_of_holds")),
        asyncio.create_task(_every(RENEWED_EVERY_S, use_cases.maintenance.renew_lease, "leases", retry_s=0)),
        asyncio.create_task(_every(sweep_interval_s, use_cases.maintenance.release_abandoned, "abandoned_holds")),
        asyncio.create_task(_every(STOP_REQUESTS_INTERVAL_S, use_cases.chat.apply_stop_requests, "stop_requests")),
        asyncio.create_task(_every(RETRY_DELAY_S, use_cases.chat.tell_replies, "requests_of_processes")),
        asyncio.create_task(_every(ROLL_UP_INTERVAL_S, use_cases.reports.roll_up, "roll_up")),
    ]
    if instance:
        sample = use_cases.monitoring.sample_models
        tasks.append(asyncio.create_task(_every(sample.every_s, sample, "sample_of_models")))
        watch = partial(use_cases.monitoring.watch_process, instance)
        tasks.append(asyncio.create_task(_every(WATCH_INTERVAL_S, watch, "watch")))
    if run_jobs:
        tasks.append(asyncio.create_task(use_cases.jobs.run_jobs.forever()))
        if exports is not None:
            tasks.append(asyncio.create_task(export_runner(use_cases, exports).forever()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _every(
    interval_s: float, work: Callable[[], Awaitable[int]], name: str, *, retry_s: float = RETRY_DELAY_S
) -> None:
    while True:
        try:
            if count := await work():
                _log.info("timer_ran", timer=name, count=count)
        except Exception:  # noqa: BLE001 - a timer goes on after any failure
            _log.exception("timer_failed", timer=name)
            await asyncio.sleep(max(0.0, retry_s - interval_s))
        await asyncio.sleep(interval_s)
