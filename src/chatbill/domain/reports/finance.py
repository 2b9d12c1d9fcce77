"""The figures of a financial report: how the credits that people own have changed, and the money behind them.

In every row, opening + sold + bonus + granted - charged - refunded + adjusted = closing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.lots import Lots
from chatbill.domain.billing.payments import Payment
from chatbill.domain.shared.ids import WalletId


@dataclass(slots=True)
class CreditFigures:
    """Sums over ledger entries, in credits.

    `charged` is what replies have cost before anything of it was `given_back`. `refunded` was taken with payments that
    were returned. `adjusted` is signed, and so is `paid`, the change of the paid credits. `received` and `owed` are
    changes of money by currency, in hundredths.
    """

    sold: int = 0
    bonus: int = 0
    granted: int = 0
    charged: int = 0
    given_back: int = 0
    refunded: int = 0
    adjusted: int = 0
    paid: int = 0
    received: dict[str, int] = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)

    @property
    def change(self) -> int:
        """Return the change of what people own."""
        return self.sold + self.bonus + self.granted - self.charged + self.given_back - self.refunded + self.adjusted

    def merge(self, other: CreditFigures) -> None:
        """Add the figures of other entries."""
        self.sold += other.sold
        self.bonus += other.bonus
        self.granted += other.granted
        self.charged += other.charged
        self.given_back += other.given_back
        self.refunded += other.refunded
        self.adjusted += other.adjusted
        self.paid += other.paid
        for mine, theirs in ((self.received, other.received), (self.owed, other.owed)):
            for currency, hundredths in theirs.items():
                mine[currency] = mine.get(currency, 0) + hundredths

    def dumps(self) -> str:
        """Return the figures as text; equal figures have equal texts."""
        credits_ = (
            self.sold, self.bonus, self.granted, self.charged, self.given_back, self.refunded, self.adjusted, self.paid
        )  # fmt: skip
        money = [{key: each[key] for key in sorted(each) if each[key]} for each in (self.received, self.owed)]
        return json.dumps([*credits_, *money])

    @classmethod
    def loads(cls, text: str) -> CreditFigures:
        """Return the figures of a text."""
        return cls(*json.loads(text))

    def add(self, movement: CreditMovement) -> None:
        """Add the figures of one entry."""
        self.merge(movement.figures)

    def add_values(self, values: list[Any]) -> None:
        """Add the figures of a text, as JSON has read it."""
        self.merge(CreditFigures(*values))

    @classmethod
    def of(cls, entry: LedgerEntry, payment: Payment | None, before: Lots, after: Lots) -> CreditFigures:
        """Return the figures of one entry, which has changed the lots of its wallet so."""
        figures = cls(paid=after.paid - before.paid)
        old, new = before.owed(), after.owed()
        figures.owed = {
            key: new.get(key, 0) - old.get(key, 0) for key in {*old, *new} if new.get(key, 0) != old.get(key, 0)
        }
        match entry.kind:
            case EntryKind.TOP_UP:
                figures.bonus = payment.bonus if payment else 0
                figures.sold = entry.amount - figures.bonus
            case EntryKind.GRANT:
                figures.granted = entry.amount
            case EntryKind.CHARGE:
                figures.charged = entry.amount
            case EntryKind.REFUND:
                figures.given_back = entry.amount
            case EntryKind.ADJUSTMENT if payment is not None:
                figures.refunded = entry.amount
            case EntryKind.ADJUSTMENT:
                figures.adjusted = entry.signed_amount
        if payment is not None:
            sign = 1 if entry.kind is EntryKind.TOP_UP else -1
            figures.received = {payment.price.currency: sign * int(payment.price.amount * 100)}
        return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditMovement:
    """What a report counts of a ledger entry. `model` is that of the reply that it is for, if any."""

    wallet_id: WalletId
    wallet_version: int
    at: datetime
    model: str | None
    figures: CreditFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    """Money of one currency, in hundredths: what came in during the period, and what is owed at its end."""

    currency: str
    received: int
    owed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinancialRow:
    """One row: what people owned at the beginning and at the end, and what has changed it in between.

    `charged` is net of what was `given_back`.
    """

    opening: int
    sold: int
    bonus: int
    granted: int
    charged: int
    given_back: int
    refunded: int
    adjusted: int
    closing: int
    paid_closing: int
    free_closing: int
    money: tuple[MoneyRow, ...]

    @classmethod
    def of(cls, before: CreditFigures, during: CreditFigures) -> FinancialRow:
        """Return the row of a period from all figures before it and those during it."""
        closing, paid = before.change + during.change, before.paid + during.paid
        return cls(
            opening=before.change,
            sold=during.sold,
            bonus=during.bonus,
            granted=during.granted,
            charged=during.charged - during.given_back,
            given_back=during.given_back,
            refunded=during.refunded,
            adjusted=during.adjusted,
            closing=closing,
            paid_closing=paid,
            free_closing=closing - paid,
            money=tuple(_money(before, during)),
        )


def _money(before: CreditFigures, during: CreditFigures) -> Iterator[MoneyRow]:
    for currency in sorted({*before.received, *before.owed, *during.received, *during.owed}):
        owed = before.owed.get(currency, 0) + during.owed.get(currency, 0)
        yield MoneyRow(currency=currency, received=during.received.get(currency, 0), owed=owed)
