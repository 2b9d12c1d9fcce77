"""Count ledger entries: replay the wallets that have new ones, and keep what a report needs of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Protocol

from chatbill.application.ports.repositories.reports import ReportReader
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.lots import FREE, Lots, Spent
from chatbill.domain.billing.payments import Payment
from chatbill.domain.billing.subjects import PAYMENT
from chatbill.domain.reports.finance import CreditFigures, CreditMovement
from chatbill.domain.shared.ids import HoldId, PaymentId, WalletId

BATCH = 1_000
_LOTS, _SPENT = "lots", "spent"


def count_entries(tx: Transaction, wallet_id: WalletId) -> int:
    """Count the next entries of a wallet, at most `BATCH`; return how many. Each is counted once.

    The note of the wallet says up to which entry it was counted, and which of its credits are paid.
    """
    version, lots = counted_to(tx.reports, wallet_id)
    entries = tx.reports.entries(wallet_id, above_version=version, limit=BATCH)
    for movement, after in replayed(tx, entries, lots, _Notes(tx)):
        tx.reports.add_movement(movement)
        lots = after
    if entries:
        tx.reports.put_note(_LOTS, wallet_id, json.dumps([entries[-1].wallet_version, lots.dumps()]))
    return len(entries)


def counted_to(reader: ReportReader, wallet_id: WalletId) -> tuple[int, Lots]:
    """Return the version of the last entry of a wallet that was counted, and its lots after it."""
    note = reader.note(_LOTS, wallet_id)
    if note is None:
        return 0, Lots()
    version, lots = json.loads(note)
    return version, Lots.loads(lots)


class SpentCredits(Protocol):
    """Remembers what charges have spent and did not get back yet."""

    def of(self, hold_id: HoldId) -> Spent:
        """Return what is left of what the charge of a hold has spent."""
        ...

    def keep(self, hold_id: HoldId, spent: Spent) -> None:
        """Remember it."""
        ...


class _Notes:
    """Remembers in notes. Free credits alone need none."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def of(self, hold_id: HoldId) -> Spent:
        note = self._tx.reports.note(_SPENT, hold_id)
        return () if note is None else tuple((number, credits_) for number, credits_ in json.loads(note))

    def keep(self, hold_id: HoldId, spent: Spent) -> None:
        if any(number != FREE for number, _ in spent):
            self._tx.reports.put_note(_SPENT, hold_id, json.dumps(spent))
        else:
            self._tx.reports.remove_note(_SPENT, hold_id)


def replayed(
    snapshot: Snapshot | Transaction, entries: Iterable[LedgerEntry], lots: Lots, spent: SpentCredits
) -> Iterator[tuple[CreditMovement, Lots]]:
    """Yield what a report counts of each entry of a wallet, and the lots after it."""
    for entry in entries:
        payment, hold_id = _payment_of(snapshot, entry), entry.cause.hold_id
        is_refund = entry.kind is EntryKind.REFUND
        before = spent.of(hold_id) if is_refund and hold_id else ()
        after, left = lots.after(entry, payment, before)
        if hold_id is not None and left != before:
            spent.keep(hold_id, left)
        movement = CreditMovement(
            wallet_id=entry.wallet_id,
            wallet_version=entry.wallet_version,
            at=entry.created_at,
            model=_model_of(snapshot, entry),
            figures=CreditFigures.of(entry, payment, lots, after),
        )
        lots = after
        yield movement, lots


def _payment_of(tx: Snapshot | Transaction, entry: LedgerEntry) -> Payment | None:
    subject = entry.cause.subject
    return tx.payments.get(PaymentId(subject.id)) if subject and subject.kind == PAYMENT else None


def _model_of(tx: Snapshot | Transaction, entry: LedgerEntry) -> str | None:
    """Return the model of the reply that a charge or a refund is for."""
    if entry.kind is EntryKind.CHARGE:
        purpose = entry.cause.description
    elif entry.kind is EntryKind.REFUND and entry.cause.hold_id is not None:
        hold = tx.holds.get(entry.cause.hold_id)
        if hold is None:
            return None
        purpose = hold.purpose
    else:
        return None
    model = purpose.params.get("model") if purpose.code == "reply" else None
    return None if model is None else str(model)
