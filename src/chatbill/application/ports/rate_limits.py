"""The rate-limit port: how often an action is allowed."""

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
    """Count actions atomically, by limit and actor."""

    async def hit(self, limit: Limit, who: str) -> None:
        """Count one more, or raise `RateLimited` when that would be too many; a refused hit is not counted."""
        ...

    async def forget(self, limit: Limit, who: str) -> None:
        """Forget every hit of this one."""
        ...
