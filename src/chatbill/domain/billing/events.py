"""Billing events, which other parts of a product read after a transaction is committed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.ids import EntryId, HoldId, WalletId


class EventKind(StrEnum):
    """The kinds of changes of a wallet."""

    GRANTED = "granted"
    TOPPED_UP = "topped_up"
    CHARGED = "charged"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"
    RELEASED = "released"


_KIND_OF = {
    EntryKind.GRANT: EventKind.GRANTED,
    EntryKind.TOP_UP: EventKind.TOPPED_UP,
    EntryKind.CHARGE: EventKind.CHARGED,
    EntryKind.REFUND: EventKind.REFUNDED,
    EntryKind.ADJUSTMENT: EventKind.ADJUSTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """A movement of `amount` credits as the wallet sees it, or the release of a hold (`amount` is what became free).

    `entry_id` names the ledger entry, which a release does not have.
    """

    kind: EventKind
    wallet_id: WalletId
    amount: int
    at: datetime
    subject: Subject | None = None
    entry_id: EntryId | None = None
    hold_id: HoldId | None = None

    @classmethod
    def of(cls, entry: LedgerEntry) -> BillingEvent:
        """Return the event of a new entry."""
        return cls(
            kind=_KIND_OF[entry.kind],
            wallet_id=entry.wallet_id,
            amount=entry.signed_amount,
            at=entry.created_at,
            subject=entry.cause.subject,
            entry_id=entry.id,
            hold_id=entry.cause.hold_id,
        )

    @classmethod
    def of_release(cls, hold: Hold, *, at: datetime) -> BillingEvent:
        """Return the event of a hold that was released."""
        return cls(
            kind=EventKind.RELEASED,
            wallet_id=hold.wallet_id,
            amount=hold.amount,
            at=at,
            subject=hold.subject,
            hold_id=hold.id,
        )


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event and its position, an opaque text: a reader continues after the last position that it has seen."""

    position: str
    event: BillingEvent
