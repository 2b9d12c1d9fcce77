"""Actions of the staff: with a reason, and once for each idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.shared.audit_trail import MAX_REASON_CHARS
from chatbill.domain.shared.errors import InvalidRequest, InvariantViolation
from chatbill.domain.shared.idempotency import IdempotencyRecord, checked_key, fingerprint_of
from chatbill.domain.shared.ids import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAction:
    """The reason of an action, in 1 to 500 characters, and the key with which it happens once."""

    reason: str
    idempotency_key: str | None = None

    def checked_reason(self) -> str:
        """Return the reason without outer blanks. Raises `InvalidRequest`."""
        checked_key(self.idempotency_key)
        reason = " ".join(self.reason.split())
        if not reason or len(reason) > MAX_REASON_CHARS or not reason.isprintable():
            raise InvalidRequest.of("reason", "not_printable", min=1, max=MAX_REASON_CHARS)
        return reason


def once(
    tx: Transaction,
    principal: Principal,
    action: AdminAction,
    operation: str,
    entry_id: EntryId,
    now: datetime,
    **fields: object,
) -> LedgerEntry | None:
    """Return the entry that this key made before; None without a key, or where it is new and now claimed.

    Raises `IdempotencyMismatch` where the key came with another action.
    """
    if action.idempotency_key is None:
        return None
    record = IdempotencyRecord(
        user_id=principal.user_id,
        key=action.idempotency_key,
        fingerprint=fingerprint_of(operation, reason=action.reason, **fields),
        created_at=now,
        subject_id=entry_id,
    )
    earlier = tx.idempotency.claim(record)
    if earlier is None:
        return None
    earlier.check(record.fingerprint)
    entry = tx.ledger.get(EntryId(earlier.subject_id or ""))
    if entry is None:
        raise InvariantViolation(f"idempotency record {earlier.key!r} names no entry")
    return entry
