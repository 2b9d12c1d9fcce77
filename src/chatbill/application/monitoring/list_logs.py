"""List logs: the newest events of this process, for members of the staff."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from chatbill.application.ports.log_reader import LogEvent, LogReader
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.errors import InvalidRequest

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least serious to the most serious."""
MAX_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLogs:
    """List events of this process alone; other processes have their own. Raises `Forbidden`, `InvalidRequest`."""

    logs: LogReader

    def __call__(
        self, principal: Principal, *, level: str = LEVELS[0], text: str | None = None, limit: int = 100
    ) -> list[LogEvent]:
        """Return at most `limit` events, newest first, that are at least as serious as `level` and contain `text`."""
        require_permission(principal, Permission.READ_AUDIT)
        if level not in LEVELS:
            raise InvalidRequest.of("level", "not_one_of", known=", ".join(LEVELS))
        if not 1 <= limit <= MAX_EVENTS:
            raise InvalidRequest.of("limit", "out_of_range", min=1, max=MAX_EVENTS)
        levels, needle = LEVELS[LEVELS.index(level) :], (text or "").casefold()
        return [each for each in self.logs.newest() if each.level in levels and _contains(each, needle)][:limit]


def _contains(event: LogEvent, needle: str) -> bool:
    return not needle or needle in json.dumps([event.event, event.logger, {**event.facts}], default=str).casefold()
