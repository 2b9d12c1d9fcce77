"""The rate-limit port: how often an action is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `times` within any `window_s` seconds. `times` 0 switches the limit off.

    `reason` is the code of what a person is told at the limit; without one it is that of every limit.
    """

    name: str
    times: int
    window_s: int
    reason: str = ""


class RateLimits(Protocol):
    """Counts actions atomically, by limit and key, such as a user or an address."""

    async def hit(self, limit: Limit, key: str) -> None:
        """Count one action of `key`, or raise `RateLimited` if the limit is reached; then it is not counted."""
        ...

    async def check(self, limit: Limit, key: str) -> None:
        """Raise `RateLimited` if the limit is reached; nothing is counted."""
        ...

    async def add(self, limit: Limit, key: str, times: int = 1) -> None:
        """Count actions that have happened already, up to the limit."""
        ...

    async def forget(self, limit: Limit, key: str) -> None:
        """Delete all counted actions of `key`."""
        ...
