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
    """Counts actions atomically, by limit and key, such as a user or an address."""

    async def hit(self, limit: Limit, key: str) -> None:
        """Count one action of `key`, or raise `RateLimited` if the limit is reached; then it is not counted."""
        ...

    async def forget(self, limit: Limit, key: str) -> None:
        """Delete all counted actions of `key`."""
        ...
