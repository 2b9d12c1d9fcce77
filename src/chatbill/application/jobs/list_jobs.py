"""List jobs: what waits, runs and failed; and retry one that failed."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import JobId

MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListJobs:
    """List jobs for the operator of the command line."""

    store: Store

    async def __call__(self, filters: JobFilter, *, limit: int = 100) -> list[Job]:
        """Return the newest jobs that are selected, at most `limit`."""
        most = max(1, min(limit, MAX_LISTED))
        return await self.store.read(lambda snapshot: snapshot.jobs.newest(filters, after=None, limit=most))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryJob:
    """Queue a failed job again, with as many attempts as a new one. Raises `NotFound`, `Conflict`."""

    store: Store
    clock: Clock

    async def __call__(self, job_id: JobId) -> Job:
        """Return the job as it is queued."""
        now = self.clock()

        def work(tx: Transaction) -> Job:
            job = tx.jobs.get(job_id)
            if job is None:
                raise NotFound("job")
            retried = job.retried(at=now)
            tx.jobs.save(retried, claim=None)
            return retried

        return await self.store.write(work)
