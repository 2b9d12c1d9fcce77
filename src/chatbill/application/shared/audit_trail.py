"""Write to the audit trail, in the transaction of the act that is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chatbill.application.ports.clock import NewId
from chatbill.application.ports.store import Transaction
from chatbill.application.shared.origin import Origin, current_origin
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord, Facts
from chatbill.domain.shared.ids import AuditRecordId, UserId

API_KEY: Final = "api_key"
SESSION: Final = "session"
"""Kinds of subjects of acts, beside those of `billing.subjects`."""
NOTHING: Facts = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act that is about to happen. `origin` is taken before the transaction, which runs on another thread.

    `actor` is the user who does it, None where that is unknown.
    """

    actor: UserId | None
    at: datetime
    new_id: NewId
    origin: Origin

    def record(
        self,
        tx: Transaction,
        action: AuditAction,
        subject: tuple[str, str] | None = None,
        *,
        before: Facts = NOTHING,
        after: Facts = NOTHING,
        reason: str | None = None,
        record_id: str | None = None,
    ) -> None:
        """Append a record. `subject` is a kind and an id; the facts hold no names, addresses or texts of people."""
        kind, id_ = subject or (None, None)
        tx.audit_trail.append(
            AuditRecord(
                id=AuditRecordId(record_id or self.new_id()),
                at=self.at,
                action=action,
                actor=self.actor,
                subject_kind=kind,
                subject_id=id_,
                address=self.origin.address,
                request_id=self.origin.request_id,
                before=before,
                after=after,
                reason=reason,
            )
        )

    def record_entry(
        self,
        tx: Transaction,
        action: AuditAction,
        subject: tuple[str, str],
        entry: LedgerEntry,
        *,
        reason: str | None = None,
    ) -> None:
        """Append the record of an act that moved credits. Its id is that of the entry, so that both can be compared."""
        before = {"balance": entry.balance_after - entry.signed_amount}
        after: dict[str, str | int] = {"balance": entry.balance_after, "amount": entry.signed_amount}
        if entry.cause.subject:
            after[entry.cause.subject.kind] = entry.cause.subject.id
        self.record(tx, action, subject, before=before, after=after, reason=reason, record_id=entry.id)


def act_of(actor: UserId | None, *, at: datetime, new_id: NewId, origin: Callable[[], Origin] = current_origin) -> Act:
    """Return the act of a person in the present request."""
    return Act(actor=actor, at=at, new_id=new_id, origin=origin())
