"""Work that goes from an event loop to a thread of the store, and its outcome on the way back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from chatbill.application.ports.store import StoreUnavailable

S = TypeVar("S")
T = TypeVar("T")


class Job(Generic[S, T]):
    """One call of the store. Made on the loop of its caller, which alone waits for it; run on a thread of the store."""

    __slots__ = ("_error", "_future", "_give_up_at", "_giving_up", "_unclaimed", "_value", "work")

    def __init__(self, work: Callable[[S], T], *, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.work = work
        self._future: asyncio.Future[None] = loop.create_future()
        self._give_up_at = time.monotonic() + wait_s
        self._giving_up = loop.call_later(wait_s, self._give_up)
        self._unclaimed = [True]
        self._value: Any = None
        self._error: BaseException | None = None

    async def result(self) -> T:
        """What the work returned or raised, once it was delivered."""
        await self._future
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def claim(self) -> bool:
        """Whether it is to be run, which only who was told so may do: the caller waits for it, and not for too long."""
        return not self._future.cancelled() and self._is_first()

    @property
    def is_late(self) -> bool:
        """True when it has waited too long for its turn."""
        return time.monotonic() > self._give_up_at

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where the caller waits."""
        return self._future.get_loop()

    @property
    def has_failed(self) -> bool:
        """True when an error is on its way to the caller."""
        return self._error is not None

    def succeed(self, value: T) -> None:
        """Note what the work returned, whatever became of an earlier run of it."""
        self._value, self._error = value, None

    def fail(self, error: BaseException) -> None:
        """Note what went wrong."""
        self._value, self._error = None, error

    def wake(self) -> None:
        """Let the caller go on. For the caller's loop alone."""
        self._giving_up.cancel()
        if not self._future.done():
            self._future.set_result(None)

    def _give_up(self) -> None:
        """On the caller's loop: nobody has begun with it in time, be it that all threads wait for the database."""
        if self._is_first():
            self.fail(too_late())
            self.wake()

    def _is_first(self) -> bool:
        try:
            return self._unclaimed.pop()  # one step, whatever thread asks
        except IndexError:
            return False


AnyJob = Job[Any, Any]


def deliver(jobs: Iterable[AnyJob]) -> None:
    """Wake all callers: each loop once, because waking a loop costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[AnyJob]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        # A loop that was closed meanwhile has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake, mine)


def _wake(jobs: list[AnyJob]) -> None:
    for job in jobs:
        job.wake()


def too_late() -> StoreUnavailable:
    """The error for a job that waited too long."""
    return StoreUnavailable("The database is too busy: this waited too long for its turn. Try again in a moment.")
