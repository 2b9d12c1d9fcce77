"""Jobs: work that is done later, in any process, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from chatbill.domain.shared.errors import Conflict, InvariantViolation
from chatbill.domain.shared.ids import JobId

MAX_ATTEMPTS: Final = 8
LEASE_S: Final = 60.0
"""How long a claim lasts without being extended. After that, another process takes the job for one that died."""
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 3_600.0
MAX_ERROR_CHARS: Final = 200

Parameters: TypeAlias = Mapping[str, str | int | bool | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JobState(StrEnum):
    """What a job is doing. A failed one was tried `MAX_ATTEMPTS` times, and waits for a person."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work of a kind. No process takes it before `due_at`; for a running one, that ends its claim.

    `claim` names the attempt that runs. Only the holder of the claim can end the job, so an attempt that was taken for
    dead changes nothing. `period` is set for periodic jobs: there is one job of a kind and period. `error` is a code.
    """

    id: JobId
    kind: str
    created_at: datetime
    due_at: datetime
    parameters: Parameters = field(default_factory=lambda: MappingProxyType({}))
    period: str | None = None
    state: JobState = JobState.QUEUED
    attempts: int = 0
    claim: str | None = None
    error: str | None = None
    finished_at: datetime | None = None

    @property
    def is_worn_out(self) -> bool:
        """Return True if it was tried often enough: its last process died with it."""
        return self.attempts >= MAX_ATTEMPTS

    def claimed(self, claim: str, *, at: datetime) -> Job:
        """Return the job as the attempt `claim` holds it."""
        self._require(JobState.QUEUED, JobState.RUNNING)
        return replace(
            self,
            state=JobState.RUNNING,
            claim=claim,
            attempts=self.attempts + 1,
            due_at=at + timedelta(seconds=LEASE_S),
        )

    def extended(self, *, at: datetime) -> Job:
        """Return the job with a claim that lasts longer."""
        self._require(JobState.RUNNING)
        return replace(self, due_at=at + timedelta(seconds=LEASE_S))

    def done(self, *, at: datetime) -> Job:
        """Return the job as it ended well."""
        self._require(JobState.RUNNING)
        return replace(self, state=JobState.DONE, claim=None, error=None, finished_at=at)

    def broken(self, error: str, *, at: datetime) -> Job:
        """Return the job after an attempt that failed: queued for later, each time for twice as long, or failed."""
        error = error[:MAX_ERROR_CHARS]
        if self.is_worn_out:
            return replace(self, state=JobState.FAILED, claim=None, error=error, finished_at=at)
        self._require(JobState.RUNNING)
        pause_s = min(FIRST_PAUSE_S * 2 ** (self.attempts - 1), LONGEST_PAUSE_S)
        due_at = at + timedelta(seconds=pause_s)
        return replace(self, state=JobState.QUEUED, claim=None, error=error, due_at=due_at)

    def given_back(self, *, at: datetime) -> Job:
        """Return the job as it was before its claim, for a process that stops."""
        self._require(JobState.RUNNING)
        return replace(self, state=JobState.QUEUED, claim=None, attempts=self.attempts - 1, due_at=at)

    def retried(self, *, at: datetime) -> Job:
        """Return a failed job as a new one. Raises `Conflict` for any other."""
        if self.state is not JobState.FAILED:
            raise Conflict("job_not_failed", state=self.state.value)
        return replace(self, state=JobState.QUEUED, attempts=0, due_at=at, finished_at=None)

    def _require(self, *states: JobState) -> None:
        if self.state not in states:
            raise InvariantViolation(f"job {self.id} is {self.state}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the jobs of a periodic kind are due: every `every_s` seconds since 1970 in UTC, `offset_s` later."""

    kind: str
    every_s: int
    offset_s: int = 0

    def next_job(self, job_id: JobId, *, now: datetime) -> Job:
        """Return the job of the next period. Its period has the same name in every process."""
        passed_s = (now - _EPOCH).total_seconds() - self.offset_s
        starts_at = _EPOCH + timedelta(seconds=(int(passed_s // self.every_s) + 1) * self.every_s + self.offset_s)
        return Job(id=job_id, kind=self.kind, created_at=now, due_at=starts_at, period=starts_at.isoformat())
