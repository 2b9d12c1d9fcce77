"""The repository of jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.ids import JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Selects jobs; what is None selects all."""

    kind: str | None = None
    state: JobState | None = None


class JobReader(Protocol):
    def get(self, job_id: JobId) -> Job | None: ...

    def newest(self, filters: JobFilter, *, after: Position | None, limit: int) -> list[Job]:
        """Return the jobs that are selected, by their creation, newest first, past the position `after`."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs that are not done, by kind and state."""
        ...

    def first_due(self, kinds: Collection[str] | None, now: datetime) -> datetime | None:
        """Return since when the job is due that has waited longest; None if none is due. `kinds` None is any kind."""
        ...


class JobRepository(JobReader, Protocol):
    def add(self, job: Job) -> bool:
        """Insert a job. Return False, and insert nothing, if there is one of its kind and period."""
        ...

    def lock_due(self, kinds: Collection[str], now: datetime) -> Job | None:
        """Return the job of these kinds that is due longest, locked; None if none is due.

        A job that another transaction has locked is passed over.
        """
        ...

    def save(self, job: Job, *, claim: str | None) -> None:
        """Save a job that has this claim. Raises `AlreadySettled` if the stored one has another one."""
        ...

    def forget(self, *, finished_before: datetime, limit: int) -> int:
        """Delete at most `limit` jobs that were done before this moment; return how many. Failed ones stay."""
        ...
