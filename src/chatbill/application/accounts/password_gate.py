"""The gate before all work on passwords, which is slow by design: budgets, few at once, and a short fair line."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from chatbill.application.ports.rate_limits import RateLimits
from chatbill.application.shared.bounds import PasswordBounds
from chatbill.domain.shared.errors import Overloaded, RateLimited

RETRY_S = 2
"""The line moves by much more than one place in this time."""


class PasswordGate:
    """Gives turns for work on passwords, at most `bounds.at_once` at a time.

    An origin is the address of a client, or the id of a signed-in user. The origins that wait take turns, so that none
    delays another by more than one turn. Cancelling a wait gives its place in the line back.
    """

    def __init__(self, rate_limits: RateLimits, bounds: PasswordBounds) -> None:
        self._rate_limits = rate_limits
        self._bounds = bounds
        self._running = 0
        # The origin whose turn is next comes first.
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Return how many wait for their turn."""
        return sum(map(len, self._lines.values()))

    @asynccontextmanager
    async def turn(self, origin: str) -> AsyncIterator[None]:
        """Wait for a turn, which lasts as long as the context.

        Raises `RateLimited` if the origin has used its budget or its share of the line, and `Overloaded` if the line is
        full.
        """
        await self._rate_limits.hit(self._bounds.per_origin, origin)
        await self._rate_limits.hit(self._bounds.in_all, "")
        await self._enter(origin)
        try:
            yield
        finally:
            self._running -= 1
            self._call_next()

    async def _enter(self, origin: str) -> None:
        if self._running < self._bounds.at_once:
            self._running += 1
            return
        if len(self._lines.get(origin, ())) >= self._bounds.waiting_each:
            raise RateLimited("passwords_of_origin", retry_after_s=RETRY_S)
        if self.waiting >= self._bounds.waiting:
            raise Overloaded("passwords_in_all", retry_after_s=RETRY_S)
        called = asyncio.get_running_loop().create_future()
        self._lines.setdefault(origin, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            self._leave_line(origin, called)
            raise

    def _leave_line(self, origin: str, called: asyncio.Future[None]) -> None:
        if called.done() and not called.cancelled():
            # Its turn came at the same moment.
            self._running -= 1
            self._call_next()
            return
        # It may have been skipped already.
        line = self._lines.get(origin, deque())
        with suppress(ValueError):
            line.remove(called)
        if not line:
            self._lines.pop(origin, None)

    def _call_next(self) -> None:
        while self._lines:
            origin, line = self._lines.popitem(last=False)
            called = line.popleft()
            if line:
                self._lines[origin] = line
            # A wait that was cancelled may not have left the line yet.
            if not called.done():
                called.set_result(None)
                self._running += 1
                return
