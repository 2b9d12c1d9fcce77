"""Alerts in SQL."""

from __future__ import annotations

import json
from functools import cache

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import (
    Statement,
    all_of,
    equals,
    insert_if_new,
    limit,
    locking,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import alerts
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.monitoring.alerts import Alert, Evidence
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import AlertId

_A = alerts.c


def _dumps(evidence: Evidence) -> tuple[str]:
    return (json.dumps(dict(evidence), separators=(",", ":")),)


_ALERTS = Mapping(alerts, Alert, Part("evidence", ("evidence",), json.loads, _dumps))
_BY_ID = all_of(alerts, equals(_A.id))
_GET, _LOCK = Statement(_BY_ID), Statement(locking(_BY_ID))
_ADD = insert_if_new(alerts)
_SAVE = update(alerts, *_ALERTS.changing, where=(equals(_A.id),))
_OPEN = Statement(all_of(alerts, _A.closed_at.is_(None)).order_by(_A.opened_at, _A.id))


@cache
def _newest(filters: frozenset[str], is_open: bool | None) -> Statement:  # noqa: FBT001 - one of three
    query = all_of(alerts)
    if "kind" in filters:
        query = query.where(equals(_A.kind))
    if is_open is not None:
        query = query.where(_A.closed_at.is_(None) if is_open else _A.closed_at.is_not(None))
    if "after_at" in filters:
        query = query.where(past(_A.opened_at, _A.id))
    return Statement(query.order_by(_A.opened_at.desc(), _A.id.desc()).limit(limit()))


class SqlAlerts:
    """Alerts by id, and one open one of each kind and subject."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, alert_id: AlertId) -> Alert | None:
        return _ALERTS.one(self._connection.one(_GET, id=alert_id))

    def lock(self, alert_id: AlertId) -> Alert | None:
        return _ALERTS.one(self._connection.one(_LOCK, id=alert_id))

    def newest(self, filters: AlertFilter, *, after: Position | None, limit: int) -> list[Alert]:
        wanted = {
            "kind": filters.kind and filters.kind.value,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self._connection.stream(_newest(frozenset(given), filters.is_open), limit=limit, **given)
        return list(map(_ALERTS.read, rows))

    def open_ones(self) -> list[Alert]:
        return list(map(_ALERTS.read, self._connection.stream(_OPEN)))

    def add(self, alert: Alert) -> bool:
        return self._connection.run(_ADD, **_ALERTS.values(alert)) == 1

    def save(self, alert: Alert) -> None:
        self._connection.put(
            _SAVE,
            **_ALERTS.changes(alert),
            or_else=lambda: InvariantViolation(f"alert {alert.id} does not exist"),
        )
