"""Record in the audit trail what was exported, by whom."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.audit_trail import AuditAction, Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExport:
    """Record an export before its first byte is sent."""

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, what: str, facts: Facts) -> None:
        """Record that this person exports `what`, such as the report `usage`; `facts` say which part of it."""
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)
        await self.store.write(lambda tx: act.record(tx, AuditAction.EXPORTED, subject=("report", what), after=facts))
