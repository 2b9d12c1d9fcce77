"""A clock that moves when told to, and ids that count: for tests and examples that say exactly what happens."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Time that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """Return the moment to which it was moved."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by this many seconds."""
        self.now += timedelta(seconds=seconds)


class CountingIds:
    """Ids that count from 1, padded so that they sort as they were made."""

    def __init__(self, prefix: str = "id") -> None:
        self._prefix = prefix
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        """Return the next id."""
        return f"{self._prefix}-{next(self._numbers):012d}"
