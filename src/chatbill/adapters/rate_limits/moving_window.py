"""Rate limits with a moving window, counted by the `limits` package in the storage that it is given."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter

from chatbill.adapters.rate_limits.storage import BoundedMemoryStorage
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.shared.errors import RateLimited


class MovingWindowRateLimits:
    """Allows at most `times` hits within any `window_s` seconds.

    Without a `storage` the counts live in this process; any asynchronous storage of the `limits` package shares
    them between processes. `now` is the storage's clock, in seconds since 1970.
    """

    def __init__(self, storage: Storage | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._limiter = MovingWindowRateLimiter(BoundedMemoryStorage(now=now) if storage is None else storage)
        self._now = now

    async def hit(self, limit: Limit, key: str) -> None:
        """Count one more, or raise `RateLimited`; a refused hit is not counted."""
        if limit.times > 0 and not await self._limiter.hit(_item(limit), _digest(key)):
            await self._refuse(limit, key)

    async def check(self, limit: Limit, key: str) -> None:
        """Raise `RateLimited` if the limit is reached; nothing is counted."""
        if limit.times > 0 and not await self._limiter.test(_item(limit), _digest(key)):
            await self._refuse(limit, key)

    async def add(self, limit: Limit, key: str, times: int = 1) -> None:
        """Count actions that have happened already, up to the limit."""
        if limit.times > 0 and times > 0:
            stats = await self._limiter.get_window_stats(_item(limit), _digest(key))
            if left := min(times, stats.remaining):
                await self._limiter.hit(_item(limit), _digest(key), cost=left)

    async def forget(self, limit: Limit, key: str) -> None:
        """Delete all counted hits of this key."""
        if limit.times > 0:
            await self._limiter.clear(_item(limit), _digest(key))

    async def _refuse(self, limit: Limit, key: str) -> None:
        stats = await self._limiter.get_window_stats(_item(limit), _digest(key))
        # A hit exactly one window old still counts, so the wait ends in the second after.
        raise RateLimited(limit.reason, retry_after_s=math.floor(stats.reset_time - self._now()) + 1)


def _item(limit: Limit) -> RateLimitItem:
    return RateLimitItemPerSecond(limit.times, limit.window_s, namespace=f"chatbill/{limit.name}")


def _digest(key: str) -> str:
    # A digest has a fixed length and keeps names and addresses out of a shared storage.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
