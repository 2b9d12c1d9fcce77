"""A Valkey server whose calls are bounded in time, and left out while it does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

TIMEOUT_S: Final = 0.2
"""The longest time that a call takes, a new connection included."""
RETRY_S: Final = 1.0
"""While the server is away, one call in this time tries it; all others fail at once."""
CONNECTIONS: Final = 16

T = TypeVar("T")
_log = logging.getLogger(__name__)


class ServerAway(Exception):
    """The server does not answer, or refuses what is asked of it."""


class ValkeyServer:
    """A server at an address such as `valkey://:password@host:6379/0`. Raises `ValueError` for any other.

    `now` is a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._now = now
        # Without a time-out, calls wait for a connection within the time that they have.
        pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=None, socket_keepalive=True)
        self.client: Valkey = Valkey.from_pool(pool)
        self._next_try: float | None = None

    @property
    def is_away(self) -> bool:
        """Return True if the last call that tried the server failed."""
        return self._next_try is not None

    async def ask(self, call: Callable[[Valkey], Awaitable[T]]) -> T:
        """Return the answer to a call. Raises `ServerAway`, at once if the server was away just now."""
        if self._next_try is not None:
            if self._now() < self._next_try:
                raise ServerAway
            self._next_try = self._now() + self._retry_s
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await call(self.client)
        except (ValkeyError, OSError, TimeoutError) as error:
            self._note_failure(error)
            raise ServerAway from error
        if self._next_try is not None:
            self._next_try = None
            _log.warning("shared_server_is_back")
        return answer

    async def answers(self) -> bool:
        """Return whether the server answers; at most one call in `RETRY_S` tries one that was away."""
        try:
            await self.ask(lambda client: client.ping())
        except ServerAway:
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    def _note_failure(self, error: Exception) -> None:
        if self._next_try is None:
            # The address may hold a password, so it is not logged.
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            _log.warning("shared_server_away", extra={"reason": reason, "effect": "limits count in each process"})
        self._next_try = self._now() + self._retry_s
