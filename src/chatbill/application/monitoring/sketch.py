"""Percentiles of many values in little memory, with a stated error."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

GROWTH: Final = 1.1
"""Each bucket ends this much higher than the one before, so a percentile is off by at most 5 %."""
_LOG = math.log(GROWTH)


@dataclass(slots=True)
class Sketch:
    """Counts values above 0 in buckets that grow; a value of 0 or less is counted as the smallest, 0.001."""

    buckets: Counter[int] = field(default_factory=Counter)
    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.buckets[math.ceil(math.log(max(value, 0.001)) / _LOG)] += 1
        self.count += 1
        self.total += value

    def merge(self, other: Sketch) -> None:
        """Count all values of another one."""
        self.buckets.update(other.buckets)
        self.count += other.count
        self.total += other.total

    def percentile(self, percent: float) -> float | None:
        """Return the value that `percent` of the values do not exceed; None where there are no values."""
        if not self.count:
            return None
        wanted, seen = math.ceil(self.count * percent / 100), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                # The middle of the bucket.
                return GROWTH**bucket * 2 / (1 + GROWTH)
        return None
