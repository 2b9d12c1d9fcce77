"""Jobs in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.errors import AlreadySettled
from chatbill.domain.shared.ids import JobId

UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING})


class MemoryJobs:
    """Jobs by id, and one of each kind and period."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, job_id: JobId) -> Job | None:
        return self._tables.jobs.get(job_id)

    def newest(self, filters: JobFilter, *, after: Position | None, limit: int) -> list[Job]:
        found = [
            job
            for job in self._tables.jobs.rows()
            if filters.kind in {None, job.kind} and filters.state in {None, job.state}
        ]
        return newest(found, lambda job: (job.created_at, job.id), after)[:limit]

    def counts(self) -> Mapping[tuple[str, str], int]:
        return Counter(
            (job.kind, job.state.value) for job in self._tables.jobs.rows() if job.state is not JobState.DONE
        )

    def first_due(self, kinds: Collection[str] | None, now: datetime) -> datetime | None:
        due = self.lock_due({job.kind for job in self._tables.jobs.rows()} if kinds is None else kinds, now)
        return due.due_at if due else None

    def add(self, job: Job) -> bool:
        if job.period is not None and any(
            (each.kind, each.period) == (job.kind, job.period) for each in self._tables.jobs.rows()
        ):
            return False
        self._tables.jobs.insert(job.id, job)
        return True

    def lock_due(self, kinds: Collection[str], now: datetime) -> Job | None:
        due = [
            job
            for job in self._tables.jobs.rows()
            if job.state in UNFINISHED and job.kind in kinds and job.due_at <= now
        ]
        return min(due, key=lambda job: (job.due_at, job.id), default=None)

    def save(self, job: Job, *, claim: str | None) -> None:
        stored = self._tables.jobs.get(job.id)
        if stored is None or stored.claim != claim:
            raise AlreadySettled(f"job {job.id} was taken over")
        self._tables.jobs.replace(job.id, job)

    def forget(self, *, finished_before: datetime, limit: int) -> int:
        old = [
            job.id
            for job in self._tables.jobs.rows()
            if job.state is JobState.DONE and job.finished_at and job.finished_at < finished_before
        ][:limit]
        for job_id in old:
            self._tables.jobs.remove(job_id)
        return len(old)
