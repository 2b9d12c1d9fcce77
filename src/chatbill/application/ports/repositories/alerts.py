"""The repository of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.monitoring.alerts import Alert, AlertKind
from chatbill.domain.shared.ids import AlertId


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Selects alerts; what is None selects all."""

    kind: AlertKind | None = None
    is_open: bool | None = None


class AlertReader(Protocol):
    def get(self, alert_id: AlertId) -> Alert | None: ...

    def newest(self, filters: AlertFilter, *, after: Position | None, limit: int) -> list[Alert]:
        """Return the alerts that are selected, by when they were opened, newest first, past the position `after`."""
        ...

    def open_ones(self) -> list[Alert]:
        """Return all open alerts, oldest first."""
        ...


class AlertRepository(AlertReader, Protocol):
    def add(self, alert: Alert) -> bool:
        """Insert an alert. Return False, and insert nothing, if one of its kind and subject is open."""
        ...

    def lock(self, alert_id: AlertId) -> Alert | None:
        """Return an alert, which no other transaction changes until this one ends."""
        ...

    def save(self, alert: Alert) -> None:
        """Save an alert. Raises `InvariantViolation` if it does not exist."""
        ...
