"""Alerts in memory."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.monitoring.alerts import Alert
from chatbill.domain.shared.ids import AlertId


class MemoryAlerts:
    """Alerts by id, and one open one of each kind and subject."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, alert_id: AlertId) -> Alert | None:
        return self._tables.alerts.get(alert_id)

    def lock(self, alert_id: AlertId) -> Alert | None:
        return self.get(alert_id)

    def newest(self, filters: AlertFilter, *, after: Position | None, limit: int) -> list[Alert]:
        found = [
            alert
            for alert in self._tables.alerts.rows()
            if filters.kind in {None, alert.kind} and filters.is_open in {None, alert.is_open}
        ]
        return newest(found, lambda alert: (alert.opened_at, alert.id), after)[:limit]

    def open_ones(self) -> list[Alert]:
        found = [alert for alert in self._tables.alerts.rows() if alert.is_open]
        return sorted(found, key=lambda alert: (alert.opened_at, alert.id))

    def add(self, alert: Alert) -> bool:
        if any((each.kind, each.subject) == (alert.kind, alert.subject) for each in self.open_ones()):
            return False
        self._tables.alerts.insert(alert.id, alert)
        return True

    def save(self, alert: Alert) -> None:
        require_row(self._tables.users.get, alert.acknowledged_by, "user")
        self._tables.alerts.replace(alert.id, alert)
