"""How a hold is taken, captured and released in a transaction, and how entries are kept with their events.

Nothing else writes holds and entries, so every movement of credits has its event in the outbox.
"""

from __future__ import annotations

from datetime import datetime

from chatbill.application.ports.billing import BillingTransaction
from chatbill.domain.billing.events import BillingEvent
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.wallets import Posting, Promise, Wallet
from chatbill.domain.shared.ids import EntryId


def keep_hold(tx: BillingTransaction, promise: Promise) -> Hold:
    """Keep a new hold and the wallet that promised it."""
    # First what a store may refuse, such as an id that was used before: a caller may catch that and go on.
    tx.holds.add(promise.hold)
    tx.wallets.save(promise.wallet)
    return promise.hold


def keep_posting(tx: BillingTransaction, posting: Posting) -> LedgerEntry:
    """Keep an entry, the wallet as it left it, and its event. A charge is kept by `settle_hold`, with its hold."""
    tx.ledger.append(posting.entry)
    tx.wallets.save(posting.wallet)
    tx.outbox.add(BillingEvent.of(posting.entry))
    return posting.entry


def settle_hold(
    tx: BillingTransaction, wallet: Wallet, hold: Hold, cost: int, *, entry_id: EntryId, at: datetime
) -> LedgerEntry | None:
    """Capture `cost` credits of a pending hold of a locked wallet, or release it where that is 0; return the charge.

    Raises `InvariantViolation` where the stored hold is settled already.
    """
    if cost:
        capture = wallet.capture(hold, cost, entry_id=entry_id, at=at)
        tx.holds.save(capture.hold)
        return keep_posting(tx, Posting(capture.wallet, capture.entry))
    released = wallet.release(hold, at=at)
    tx.holds.save(released.hold)
    tx.wallets.save(released.wallet)
    tx.outbox.add(BillingEvent.of_release(hold, at=at))
    return None
