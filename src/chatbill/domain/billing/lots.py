"""Lots: which credits of a wallet were paid for, at what price, by a replay of its entries.

Free credits are spent first, then those of the oldest purchase. Credits given back return to the lots that they came
from, paid ones first, as those were spent last. A payment that was returned takes what is left of its purchase, and the
rest like any spending. What is spent beyond all credits is a debt: free credits below zero, which the next credits of
any kind settle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TypeAlias

from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Payment
from chatbill.domain.shared.ids import PaymentId

FREE = 0
"""Stands for the free credits where lots are named by their number."""

Spent: TypeAlias = tuple[tuple[int, int], ...]
"""What a charge has spent, in order: the number of each lot (or `FREE`) and its credits."""


@dataclass(frozen=True, slots=True)
class Lot:
    """The paid credits of one purchase: `left` of `credits` are not spent. `number` is the version of its entry."""

    number: int
    payment_id: PaymentId
    credits: int
    price_hundredths: int
    currency: str
    left: int

    @property
    def owed(self) -> int:
        """Return the price of what is left, in hundredths of the currency, rounded half up."""
        return (2 * self.price_hundredths * self.left + self.credits) // (2 * self.credits)


@dataclass(frozen=True, slots=True)
class Lots:
    """The credits of a wallet: `free` ones, below zero for a debt, and purchases, the oldest first."""

    free: int = 0
    purchases: tuple[Lot, ...] = ()

    @property
    def paid(self) -> int:
        """Return the paid credits that are not spent."""
        return sum(lot.left for lot in self.purchases)

    def owed(self) -> dict[str, int]:
        """Return what the paid credits have cost, by currency, in hundredths."""
        owed: dict[str, int] = {}
        for lot in self.purchases:
            owed[lot.currency] = owed.get(lot.currency, 0) + lot.owed
        return owed

    def after(self, entry: LedgerEntry, payment: Payment | None, spent: Spent = ()) -> tuple[Lots, Spent]:
        """Return the lots after the next entry, and what it has spent.

        `payment` is that of a top-up, or of one that was returned. `spent` is what the charge of a refund has spent and
        did not get back yet; the rest of it is returned.
        """
        amount = entry.amount
        match entry.kind:
            case EntryKind.TOP_UP if payment is not None:
                return _settled(_bought(self, payment, entry.wallet_version)), ()
            case EntryKind.CHARGE:
                return _taken(self, amount)
            case EntryKind.REFUND:
                return _given_back(self, amount, spent)
            case EntryKind.ADJUSTMENT if payment is not None:
                return _returned(self, payment.id, amount), ()
            case EntryKind.ADJUSTMENT if entry.signed_amount < 0:
                return _taken(self, amount)[0], ()
            case _:
                return _settled(replace(self, free=self.free + amount)), ()

    def dumps(self) -> str:
        """Return the lots as text."""
        fields = [
            [lot.number, lot.payment_id, lot.credits, lot.price_hundredths, lot.currency, lot.left]
            for lot in self.purchases
        ]
        return json.dumps([self.free, fields])

    @classmethod
    def loads(cls, text: str) -> Lots:
        """Return the lots of a text."""
        free, fields = json.loads(text)
        return cls(free, tuple(Lot(*each) for each in fields))


def _bought(lots: Lots, payment: Payment, number: int) -> Lots:
    paid = payment.credits - payment.bonus
    lot = Lot(number, payment.id, paid, int(payment.price.amount * 100), payment.price.currency, paid)
    return Lots(lots.free + payment.bonus, (*lots.purchases, lot) if paid else lots.purchases)


def _taken(lots: Lots, amount: int) -> tuple[Lots, Spent]:
    """Spend free credits, then those of the oldest purchase, and then make a debt."""
    now = min(max(lots.free, 0), amount)
    spent = [(FREE, now)] if now else []
    free, rest, kept = lots.free - now, amount - now, []
    for lot in lots.purchases:
        now = min(lot.left, rest)
        if now:
            spent.append((lot.number, now))
        kept.append(replace(lot, left=lot.left - now) if now else lot)
        rest -= now
    if rest:
        spent.append((FREE, rest))
    return Lots(free - rest, tuple(kept)), tuple(spent)


def _given_back(lots: Lots, amount: int, spent: Spent) -> tuple[Lots, Spent]:
    """Put back what was spent last; return the lots and what is still spent."""
    rest, kept = amount, list(spent)
    while rest and kept:
        number, credits_ = kept.pop()
        now = min(credits_, rest)
        lots, rest = _put(lots, number, now), rest - now
        if now < credits_:
            kept.append((number, credits_ - now))
    return _settled(_put(lots, FREE, rest)), tuple(kept)


def _put(lots: Lots, number: int, amount: int) -> Lots:
    """Add credits to a lot; to the free ones where it is gone, because its payment was returned."""
    if not any(lot.number == number for lot in lots.purchases):
        return replace(lots, free=lots.free + amount)
    put = [replace(lot, left=lot.left + amount) if lot.number == number else lot for lot in lots.purchases]
    return replace(lots, purchases=tuple(put))


def _returned(lots: Lots, payment_id: PaymentId, amount: int) -> Lots:
    """Take what is left of a purchase whose payment was returned, and the rest of it from the other credits."""
    gone = sum(lot.left for lot in lots.purchases if lot.payment_id == payment_id)
    others = tuple(lot for lot in lots.purchases if lot.payment_id != payment_id)
    return _taken(replace(lots, purchases=others), amount - gone)[0]


def _settled(lots: Lots) -> Lots:
    """Let the oldest purchases pay a debt."""
    debt = min(max(-lots.free, 0), lots.paid)
    if not debt:
        return lots
    paid, _ = _taken(replace(lots, free=0), debt)
    return replace(paid, free=lots.free + debt)
