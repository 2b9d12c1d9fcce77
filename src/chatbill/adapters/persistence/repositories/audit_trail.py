"""The audit trail in SQL."""

from __future__ import annotations

import json
from functools import cache

from sqlalchemy import bindparam

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.repositories.periods import within
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, limit, past
from chatbill.adapters.persistence.sql.tables import audit_trail
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.shared.audit_trail import AuditRecord, Facts

_A = audit_trail.c


def _dumps(facts: Facts) -> tuple[str]:
    return (json.dumps(dict(facts), separators=(",", ":")),)


_RECORDS = Mapping(audit_trail, AuditRecord, *(Part(name, (name,), json.loads, _dumps) for name in ("before", "after")))


@cache
def _newest(filters: frozenset[str]) -> Statement:
    """Select records, newest first, by the filters that are named."""
    query = all_of(audit_trail)
    for column in (_A.actor, _A.action):
        if column.name in filters:
            query = query.where(equals(column))
    if "subject" in filters:
        query = query.where(_A.subject_id == bindparam("subject"))
    if "after_at" in filters:
        query = query.where(past(_A.at, _A.id))
    return Statement(within(query, _A.at, filters).order_by(_A.at.desc(), _A.id.desc()).limit(limit()))


class SqlAuditTrail:
    """Records that are appended and never touched again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: AuditRecord) -> None:
        self._connection.put(_RECORDS.add, **_RECORDS.values(record))

    def newest(self, filters: AuditFilter, *, after: Position | None, limit: int) -> list[AuditRecord]:
        wanted = {
            "actor": filters.actor,
            "action": filters.action and filters.action.value,
            "subject": filters.subject,
            "start": filters.period.start,
            "end": filters.period.end,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = self._connection.stream(_newest(frozenset(given)), limit=limit, **given)
        return list(map(_RECORDS.read, rows))
