"""The repository of the audit trail, which only grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Selects records; what is None selects all. `subject` is the id of what an act was done to."""

    actor: UserId | None = None
    action: AuditAction | None = None
    subject: str | None = None
    period: Period = Period()


class AuditTrailReader(Protocol):
    def newest(self, filters: AuditFilter, *, after: Position | None, limit: int) -> list[AuditRecord]:
        """Return the records that are selected, newest first, past the position `after`."""
        ...


class AuditTrail(AuditTrailReader, Protocol):
    def append(self, record: AuditRecord) -> None:
        """Insert a record. Raises `InvariantViolation` where one has its id, or where its actor does not exist."""
        ...
