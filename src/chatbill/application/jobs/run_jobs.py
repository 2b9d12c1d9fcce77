"""Run jobs: claim what is due, do it, and end it in the transaction that writes its effect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from chatbill.application.jobs.handlers import Effect, Handler
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.metrics import Metrics
from chatbill.application.ports.store import Store, StoreUnavailable, Transaction
from chatbill.domain.jobs.jobs import LEASE_S, Job, Schedule
from chatbill.domain.shared.errors import AlreadySettled, ChatbillError
from chatbill.domain.shared.ids import JobId

AT_ONCE: Final = 2
"""Jobs that a process does at the same time."""
POLL_S: Final = 2.0
OUTAGE_PAUSE_S: Final = 10.0
LOST: Final = "worker_lost"
"""The error of a job whose process died with each of its attempts."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJobs:
    """Do the jobs of the kinds that have a handler, and queue those of the `schedules`, in any number of processes.

    A job is claimed for `LEASE_S` seconds, and the claim is extended while its handler runs. If the process dies,
    another one claims the job after that. Only the holder of the claim can end the job, so what a process that was
    taken for dead does in the end is rolled back.
    """

    store: Store
    clock: Clock
    new_id: NewId
    metrics: Metrics
    handlers: Mapping[str, Handler]
    schedules: tuple[Schedule, ...] = ()
    extend_every_s: float = LEASE_S / 3
    at_once: int = AT_ONCE
    _queued: dict[str, str | None] = field(default_factory=dict)

    async def forever(self) -> None:
        """Do jobs until cancelled. Then jobs that run are given back, so that another process begins them at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.at_once):
                group.create_task(self._work_forever())

    async def __call__(self) -> int:
        """Do everything that is due now, one job after the other; return how many attempts were made."""
        await self._queue_periodic()
        attempts = 0
        while job := await self._claim():
            await self._attempt(job)
            attempts += 1
        return attempts

    async def _work_forever(self) -> None:
        while True:
            pause_s = POLL_S
            try:
                await self()
            except StoreUnavailable:
                pause_s = OUTAGE_PAUSE_S  # the readiness check logs it
            except Exception:  # noqa: BLE001 - the runner goes on after any failure
                _log.exception("job_runner_failed")
                pause_s = OUTAGE_PAUSE_S
            await asyncio.sleep(pause_s)

    async def _queue_periodic(self) -> None:
        """Queue the next job of each schedule. Its period is unique, so one process of many does it."""
        now = self.clock()
        for schedule in self.schedules:
            job = schedule.next_job(JobId(self.new_id()), now=now)
            if self._queued.get(schedule.kind) != job.period:
                await self.store.write(lambda tx, job=job: tx.jobs.add(job))  # type: ignore[misc]
                self._queued[schedule.kind] = job.period

    async def _claim(self) -> Job | None:
        """Return a job that is this process's now; None if nothing is due. A job that is worn out is failed instead."""
        now, claim = self.clock(), self.new_id()
        # Looked for first, because a write takes more than a read.
        if await self.store.read(lambda snapshot: snapshot.jobs.first_due(self.handlers, now)) is None:
            return None

        def work(tx: Transaction) -> Job | None:
            while job := tx.jobs.lock_due(self.handlers, now):
                if job.is_worn_out:
                    tx.jobs.save(job.broken(LOST, at=now), claim=job.claim)
                    _log.error("job_failed", extra={"job_id": job.id, "kind": job.kind, "code": LOST})
                    continue
                claimed = job.claimed(claim, at=now)
                tx.jobs.save(claimed, claim=job.claim)
                return claimed
            return None

        return await self.store.write(work)

    async def _attempt(self, job: Job) -> None:
        started = time.monotonic()
        extending = asyncio.create_task(self._keep_extending(job))
        running = asyncio.ensure_future(self._run(job))
        try:
            await asyncio.wait({running, extending}, return_when=asyncio.FIRST_COMPLETED)
            outcome = await self._ended(job, running)
        except asyncio.CancelledError:
            await _stopped(running)
            await asyncio.shield(self._give_back(job))
            raise
        finally:
            await _stopped(extending, running)
        self.metrics.job_ended(kind=job.kind, outcome=outcome, seconds=time.monotonic() - started)

    async def _run(self, job: Job) -> Effect | None:
        handler = self.handlers[job.kind]
        return await asyncio.wait_for(handler.work(job), handler.timeout_s)

    async def _ended(self, job: Job, running: asyncio.Future[Effect | None]) -> str:
        """End the job, and return how. The job is another process's now if its handler still runs."""
        try:
            if running.done():
                await self._end(job, running.result())
                return "done"
        except AlreadySettled:
            pass
        except Exception as error:  # noqa: BLE001 - any failure is tried again
            return await self._break(job, error)
        _log.warning("job_taken_over", extra={"job_id": job.id, "kind": job.kind})
        return "again"

    async def _end(self, job: Job, effect: Effect | None) -> None:
        now = self.clock()

        def work(tx: Transaction) -> None:
            # First the end, so that an effect without a claim is not even tried.
            tx.jobs.save(job.done(at=now), claim=job.claim)
            if effect is not None:
                effect(tx)

        await self.store.write(work)

    async def _break(self, job: Job, error: Exception) -> str:
        code = error.code if isinstance(error, ChatbillError) else type(error).__name__
        broken = job.broken(code, at=self.clock())
        facts = {"job_id": job.id, "kind": job.kind, "attempts": job.attempts, "code": code}
        if broken.finished_at:
            _log.error("job_failed", exc_info=error, extra=facts)
        else:
            _log.warning("job_is_tried_again", exc_info=error, extra=facts)
        with suppress(AlreadySettled):
            await self.store.write(lambda tx: tx.jobs.save(broken, claim=job.claim))
        return "failed" if broken.finished_at else "again"

    async def _give_back(self, job: Job) -> None:
        with suppress(ChatbillError):
            given_back = job.given_back(at=self.clock())
            await self.store.write(lambda tx: tx.jobs.save(given_back, claim=job.claim))

    async def _keep_extending(self, job: Job) -> None:
        """Extend the claim while the job runs; return if another process has taken the job."""
        while True:
            await asyncio.sleep(self.extend_every_s)
            extended = job.extended(at=self.clock())
            try:
                await self.store.write(lambda tx, extended=extended: tx.jobs.save(extended, claim=job.claim))  # type: ignore[misc]
            except AlreadySettled:
                return
            except StoreUnavailable:
                continue  # the claim may outlast it


async def _stopped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks, and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # or it would be logged as one that was never looked at
