"""The machine's own clock, and ids that sort by time; nothing but Python."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

TAIL_BITS: Final = 74  # the random part of RFC 9562 section 5.7: rand_a and rand_b together
RAND_B_BITS: Final = 62
STEP_BITS: Final = 30
RANDOM_BYTES: Final = (TAIL_BITS + STEP_BITS) // 8


class _RandomBytes:
    """Random bytes of the system, fetched in bulk, because each call of the system lets other threads go first."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Discard what is left: a forked process would use the same bytes as its parent."""
        self._lock = threading.Lock()
        self._bytes, self._used = b"", 0

    def take(self, count: int) -> bytes:
        """Return `count` bytes that were never returned before."""
        with self._lock:
            if self._used + count > len(self._bytes):
                self._bytes, self._used = os.urandom(4_096), 0
            self._used += count
            return self._bytes[self._used - count : self._used]


_random_bytes: Final = _RandomBytes()


class SystemClock:
    """The time of this machine, in UTC."""

    def __call__(self) -> datetime:
        """Return the present moment, to the microsecond."""
        return datetime.now(UTC)


class Uuid7Ids:
    """UUIDs of version 7 (RFC 9562): 36 characters, and within a process each sorts after all made before it.

    Within a millisecond, and when the clock is set back, the next id is the last one plus a random step, as in
    section 6.2, method 2. Safe in any number of threads and after a fork. `now_ns` gives nanoseconds since 1970.
    """

    def __init__(self, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """Return a new id."""
        random = int.from_bytes(_random_bytes.take(RANDOM_BYTES))
        fresh = self._now_ns() // 1_000_000 << TAIL_BITS | random >> STEP_BITS
        with self._lock:
            value = fresh if fresh > self._last else self._last + 1 + (random & (1 << STEP_BITS) - 1)
            self._last = value
        head, rand_b = value >> RAND_B_BITS, value & (1 << RAND_B_BITS) - 1
        timestamp, rand_a = head >> 12, head & 0xFFF
        digits = f"{timestamp << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
