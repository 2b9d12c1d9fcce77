"""Response bodies of monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatbill.application.ports.log_reader import LogEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEventView:
    """One event of the log. `facts` depend on the event."""

    at: str
    level: str
    logger: str
    event: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, event: LogEvent) -> LogEventView:
        """Return the view of an event."""
        return cls(at=event.at, level=event.level, logger=event.logger, event=event.event, facts=dict(event.facts))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsView:
    """The newest events of one process, newest first."""

    items: list[LogEventView]
