"""Apply a payment event: what the provider reports about a payment, immediately or later by a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.payments import Payment, PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import PAYMENT, Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPayment:
    """Add the credits of a payment that was confirmed, or take them back if its money was returned.

    An event may come any number of times, and late: what it says is done once, and an event that a later one has
    overtaken changes nothing. Raises `NotFound` for an unknown payment and `Conflict` for other money than was asked.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, event: PaymentEvent) -> Payment:
        """Apply the event, and return the payment after it."""
        now, entry_id = self.clock(), EntryId(self.new_id())
        known = await self.store.read(lambda snapshot: snapshot.payments.get(event.payment_id))
        if known is None:
            raise NotFound("payment")
        return await self.store.write(lambda tx: _record(tx, known, event, entry_id=entry_id, at=now))


def _record(tx: Transaction, known: Payment, event: PaymentEvent, *, entry_id: EntryId, at: datetime) -> Payment:
    # The wallet comes first in every transaction, so that two of them do not wait for each other.
    wallet = tx.wallets.lock(known.wallet_id)
    payment = tx.payments.lock(known.id)
    if payment is None or not payment.is_changed_by(event):
        return payment or known
    subject = Subject(PAYMENT, payment.id)
    match event.status:
        case PaymentStatus.CONFIRMED:
            cause = Cause(description=Description.of("top_up", package=payment.package), subject=subject)
            entry = keep_posting(tx, wallet.top_up(payment.credits, entry_id=entry_id, at=at, cause=cause))
            payment = payment.confirmed(at=at, balance_after=entry.balance_after)
        case PaymentStatus.REFUNDED:
            cause = Cause(description=Description.of("payment_refunded", package=payment.package), subject=subject)
            keep_posting(tx, wallet.take_back(payment.credits, entry_id=entry_id, at=at, cause=cause))
            payment = payment.refunded(at=at)
        case _:
            payment = payment.failed()
    tx.payments.save(payment)
    return payment
