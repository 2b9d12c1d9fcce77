"""List the audit trail, newest first."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.audit_trail import AuditRecord


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A record, and the username that its actor has now."""

    record: AuditRecord
    actor_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAuditTrail:
    """List records in pages. Raises `Forbidden`, and `InvalidRequest` for a limit or a cursor that is not valid."""

    store: Store

    async def __call__(
        self, principal: Principal, filters: AuditFilter, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[NamedRecord]:
        """Return one page of the records that are selected."""
        require_permission(principal, Permission.READ_AUDIT)
        return await self.unchecked(filters, limit=limit, cursor=cursor)

    async def unchecked(
        self, filters: AuditFilter, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[NamedRecord]:
        """Return the same for the command line, where no permission is checked."""
        limit, after = checked_limit(limit), decode_position(cursor)

        def query(snapshot: Snapshot) -> list[NamedRecord]:
            records = snapshot.audit_trail.newest(filters, after=after, limit=limit + 1)
            actors = {record.actor: snapshot.users.get(record.actor) for record in records if record.actor}
            names = {actor: user.username for actor, user in actors.items() if user}
            return [NamedRecord(record, names.get(record.actor) if record.actor else None) for record in records]

        records = await self.store.read(query)
        return page_of(records, limit, lambda each: encode_position(each.record.at, each.record.id))
