"""The rate-limit port: how often somebody may do something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `times` within any `window_s` seconds. `times` 0 switches the limit off."""

    name: str
    times: int
    window_s: int


class RateLimits(Protocol):
    """Count, atomically, who did what."""

    async def hit(self, limit: Limit, who: str) -> None:
        """Count one more, or raise `RateLimited` when that would be too many; a refused hit is not counted."""
        ...

    async def check(self, limit: Limit, who: str) -> None:
        """Raise `RateLimited` when another hit would be refused; count nothing."""
        ...
