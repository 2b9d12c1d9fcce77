"""Hits kept in the memory of this process: exact, bounded, and cheap for any number of users."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, NoReturn

from limits.aio.storage import MovingWindowSupport, Storage


class BoundedMemoryStorage(Storage, MovingWindowSupport):
    """A moving-window storage for the `limits` package that deletes expired hits at each call.

    The package's own memory storage looks at every key again after every hit, which at 10,000 keys keeps a core
    busy. Here a hit drops at most two keys that were quiet for a whole window, so keys leave faster than they come.
    At most `max_keys` are kept for each window; beyond that the one that was quiet longest is forgotten.
    `now` gives seconds since 1970.
    """

    STORAGE_SCHEME = None

    def __init__(self, *, max_keys: int = 100_000, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._now = now
        # For each window in seconds: the times of each key's hits, keys in the order of their latest.
        self._windows: defaultdict[int, OrderedDict[str, deque[float]]] = defaultdict(OrderedDict)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits now unless more than `limit` would lie within the last `expiry` seconds."""
        with self._lock:
            now = self._now()
            hits = self._within(key, expiry, now)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            window = self._windows[expiry]
            window[key] = hits
            window.move_to_end(key)
            self._forget(expiry, now)
            return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - theirs
        """Return when the oldest hit that counts was made (now, without one), and how many count."""
        with self._lock:
            now = self._now()
            hits = self._within(key, expiry, now)
            return (hits[0] if hits else now), len(hits)

    async def clear(self, key: str) -> None:
        """Delete one key."""
        with self._lock:
            for window in self._windows.values():
                window.pop(key, None)

    async def reset(self) -> int | None:
        """Delete all keys; return their number."""
        with self._lock:
            count = len(self)
            self._windows.clear()
            return count

    async def check(self) -> bool:
        """Return True: memory is always available."""
        return True

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """Return the errors of a failing storage; this one does not fail."""
        return ValueError

    def _within(self, key: str, expiry: int, now: float) -> deque[float]:
        """Return the hits of a key that still count."""
        hits = self._windows[expiry].get(key, deque[float]())
        while hits and hits[0] < now - expiry:
            hits.popleft()
        return hits

    def _forget(self, expiry: int, now: float) -> None:
        window = self._windows[expiry]
        for _ in range(2):
            key, hits = next(iter(window.items()))
            if hits and hits[-1] >= now - expiry and len(window) <= self._max_keys:
                return
            del window[key]

    async def incr(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: only fixed windows count this way."""
        raise NotImplementedError

    async def get(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: only fixed windows count this way."""
        raise NotImplementedError

    async def get_expiry(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: only fixed windows count this way."""
        raise NotImplementedError
