"""The audit trail in memory."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest, within
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.shared.audit_trail import AuditRecord


class MemoryAuditTrail:
    """Records that are appended and never touched again."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, record: AuditRecord) -> None:
        require_row(self._tables.users.get, record.actor, "user")
        self._tables.audit_trail.insert(record.id, record)

    def newest(self, filters: AuditFilter, *, after: Position | None, limit: int) -> list[AuditRecord]:
        found = [
            record
            for record in self._tables.audit_trail.rows()
            if filters.actor in {None, record.actor}
            and filters.action in {None, record.action}
            and filters.subject in {None, record.subject_id}
            and within(record.at, filters.period)
        ]
        return newest(found, lambda record: (record.at, record.id), after)[:limit]
