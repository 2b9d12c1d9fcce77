"""A call of the store that runs on another thread, and its result on the way back to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, cast

from chatbill.application.ports.store import StoreUnavailable

S = TypeVar("S")
T = TypeVar("T")


class Job(Generic[S, T]):
    """Work for a thread of the store. Created on the event loop of its caller, which waits for `result`."""

    __slots__ = ("_error", "_future", "_unclaimed", "_value", "give_up_at", "work")

    def __init__(self, work: Callable[[S], T], *, wait_s: float) -> None:
        self.work = work
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.give_up_at = time.monotonic() + wait_s
        self._unclaimed = [True]
        self._value: Any = None
        self._error: BaseException | None = None

    async def result(self) -> T:
        """Return the value or raise the error of the work. `Deadlines` end a wait for a thread that begins it."""
        await self._future
        value, error = self._value, self._error
        # `Deadlines` may keep the job for some time yet.
        self._value = self._error = None
        del self.work
        if error is not None:
            raise error
        return cast("T", value)

    def claim(self) -> bool:
        """Return True for the first thread that claims a job whose caller still waits."""
        return not self._future.cancelled() and not self.is_late and self._is_first()

    @property
    def is_late(self) -> bool:
        """True when the job has waited longer than `wait_s`."""
        return time.monotonic() > self.give_up_at

    @property
    def is_over(self) -> bool:
        """True when the caller has the outcome, or waits no longer."""
        return self._future.done()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of the caller."""
        return self._future.get_loop()

    @property
    def has_failed(self) -> bool:
        """True when the last run raised an error."""
        return self._error is not None

    def succeed(self, value: T) -> None:
        """Record the value for the caller, in place of the outcome of an earlier run."""
        self._value, self._error = value, None

    def fail(self, error: BaseException) -> None:
        """Record the error for the caller, in place of the outcome of an earlier run."""
        self._value, self._error = None, error

    def wake(self) -> None:
        """Resume the caller. Must run on the caller's event loop."""
        if not self._future.done():
            self._future.set_result(None)

    def give_up(self) -> None:
        """Fail with `StoreUnavailable` unless a thread has claimed the job. Must run on the caller's event loop."""
        if self._is_first():
            self.fail(waited_too_long())
            self.wake()

    def _is_first(self) -> bool:
        try:
            return self._unclaimed.pop()  # atomic, so two threads cannot both claim a job
        except IndexError:
            return False


AnyJob = Job[Any, Any]


class Deadlines:
    """Gives up the jobs of one event loop that no thread begins in time. All jobs wait equally long.

    One timer serves them all: to start and stop one for each job took longer than to hand the job to its thread.
    """

    def __init__(self) -> None:
        self._jobs: deque[AnyJob] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, job: AnyJob) -> None:
        """Watch a job, which is the newest."""
        self._jobs.append(job)
        if self._timer is None:
            self._start(job)

    def forget(self) -> None:
        """Let go of the oldest jobs that are over."""
        while self._jobs and self._jobs[0].is_over:
            self._jobs.popleft()

    def _start(self, job: AnyJob) -> None:
        left_s = max(0, job.give_up_at - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(left_s, self._check)

    def _check(self) -> None:
        self._timer = None
        while self._jobs and (self._jobs[0].is_over or self._jobs[0].give_up_at <= time.monotonic()):
            self._jobs.popleft().give_up()
        if self._jobs:
            self._start(self._jobs[0])


def deliver(jobs: Iterable[AnyJob]) -> None:
    """Resume all callers. Each event loop is woken once, because waking it costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[AnyJob]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(_wake, mine)


def _wake(jobs: list[AnyJob]) -> None:
    for job in jobs:
        job.wake()


def fail_all(jobs: Iterable[AnyJob], error: Exception) -> None:
    """Fail each job with an error of its own, because a traceback must not be shared between callers."""
    for job in jobs:
        copy = StoreUnavailable(getattr(error, "cause", str(error)), advice=getattr(error, "advice", None))
        copy.__cause__ = error
        job.fail(copy)


def waited_too_long() -> StoreUnavailable:
    """Return the error for a job that no thread began in time."""
    return StoreUnavailable("The database is too busy: this waited too long for its turn. Try again in a moment.")
