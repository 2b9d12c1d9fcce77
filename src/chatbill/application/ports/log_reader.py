"""The log reader port: the newest events in the log of this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event, without secrets and without texts of people. `at` is an ISO 8601 time in UTC."""

    at: str
    level: str
    logger: str
    event: str
    facts: Mapping[str, str | int | float | None]


class LogReader(Protocol):
    """Keeps a bounded number of events."""

    def newest(self) -> list[LogEvent]:
        """Return the events, newest first."""
        ...


class NoLogs:
    """A reader without events, for applications that keep none."""

    def newest(self) -> list[LogEvent]:
        """Return no events."""
        return []
