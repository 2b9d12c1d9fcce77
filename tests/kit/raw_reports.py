"""Reports computed from raw rows, one credit at a time: slow, and unlike the way in which chatbill does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil

from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Payment
from chatbill.domain.billing.subjects import PAYMENT
from chatbill.domain.chat.interactions import Interaction
from tests.kit.histories import Raw

FREE = ""


@dataclass
class Purse:
    """The credits of one wallet as a list of coins, each with the payment that bought it."""

    payments: dict[str, Payment]
    coins: list[str] = field(default_factory=list)
    debt: int = 0
    bought: list[str] = field(default_factory=list)
    spent: dict[str, list[str]] = field(default_factory=dict)

    def enter(self, entry: LedgerEntry) -> None:
        subject = entry.cause.subject
        payment = self.payments.get(subject.id) if subject and subject.kind == PAYMENT else None
        if entry.kind is EntryKind.TOP_UP and payment:
            self.bought.append(payment.id)
            self._add([FREE] * payment.bonus)
            self._add([payment.id] * (payment.credits - payment.bonus))
        elif entry.kind is EntryKind.CHARGE:
            self.spent[entry.cause.hold_id or ""] = self._take(entry.amount)
        elif entry.kind is EntryKind.REFUND:
            of = self.spent[entry.cause.hold_id or ""]
            back = [of.pop() for _ in range(entry.amount)]
            self._add([coin if coin in self.bought else FREE for coin in back])
        elif entry.kind is EntryKind.ADJUSTMENT and payment:
            mine = [coin for coin in self.coins if coin == payment.id]
            self.coins = [coin for coin in self.coins if coin != payment.id]
            self.bought.remove(payment.id)
            self._take(entry.amount - len(mine))
        elif entry.signed_amount < 0:
            self._take(entry.amount)
        else:
            self._add([FREE] * entry.amount)

    def _add(self, coins: list[str]) -> None:
        self.coins += coins
        settled = min(self.debt, len(self.coins))
        self.debt -= settled
        self._take(settled)

    def _take(self, amount: int) -> list[str]:
        """Take free coins first, then those of the oldest purchase; what is missing is a debt."""
        taken = []
        for _ in range(amount):
            for kind in (FREE, *self.bought):
                if kind in self.coins:
                    self.coins.remove(kind)
                    taken.append(kind)
                    break
            else:
                self.debt += 1
                taken.append(FREE)
        return taken

    @property
    def paid(self) -> int:
        return sum(coin != FREE for coin in self.coins)

    @property
    def free(self) -> int:
        return self.coins.count(FREE) - self.debt

    def owed(self) -> dict[str, int]:
        """What the paid coins have cost, in hundredths, by currency, rounded half up once a purchase."""
        owed: dict[str, int] = {}
        for payment_id, count in Counter(coin for coin in self.coins if coin).items():
            payment = self.payments[payment_id]
            exact = Fraction(payment.price.amount) * 100 * count / (payment.credits - payment.bonus)
            rounded = int(exact + Fraction(1, 2))
            owed[payment.price.currency] = owed.get(payment.price.currency, 0) + rounded
        return owed


@dataclass(frozen=True)
class Moved:
    """One entry, and the change of the paid credits and of what is owed by it."""

    entry: LedgerEntry
    payment: Payment | None
    paid: int
    owed: dict[str, int]
    model: str | None


def moved(raw: Raw) -> list[Moved]:
    """Replay every wallet from its first entry."""
    purses: dict[str, Purse] = {}
    models: dict[str, str] = {each.id: each.model for each in raw.interactions}
    found = []
    for entry in sorted(raw.entries, key=lambda each: (each.wallet_id, each.wallet_version)):
        purse = purses.setdefault(entry.wallet_id, Purse(raw.payments))
        paid, owed = purse.paid, purse.owed()
        purse.enter(entry)
        assert purse.paid + purse.free == entry.balance_after
        now = purse.owed()
        changes = {key: now.get(key, 0) - owed.get(key, 0) for key in {*owed, *now}}
        subject = entry.cause.subject
        payment = raw.payments.get(subject.id) if subject else None
        found.append(Moved(entry, payment, purse.paid - paid, changes, models.get(subject.id) if subject else None))
    return found


def credits_of(all_moved: Iterable[Moved], start: datetime, end: datetime) -> dict[str, object]:
    """The figures of a financial row for these entries and this period."""
    before = [each for each in all_moved if each.entry.created_at < start]
    during = [each for each in all_moved if start <= each.entry.created_at < end]

    def total(kind: EntryKind, *, of_payment: bool | None = None) -> int:
        return sum(
            each.entry.signed_amount
            for each in during
            if each.entry.kind is kind and of_payment in {None, each.payment is not None}
        )

    bonus = sum(each.payment.bonus for each in during if each.payment and each.entry.kind is EntryKind.TOP_UP)
    closing = sum(each.entry.signed_amount for each in [*before, *during])
    paid = sum(each.paid for each in [*before, *during])
    money: dict[str, list[int]] = {}
    for each in [*before, *during]:
        for currency, change in each.owed.items():
            money.setdefault(currency, [0, 0])[1] += change
        if each.payment:
            sign = 1 if each.entry.kind is EntryKind.TOP_UP else -1
            received = money.setdefault(each.payment.price.currency, [0, 0])
            received[0] += sign * int(each.payment.price.amount * 100) * (each in during)
    return {
        "opening": sum(each.entry.signed_amount for each in before),
        "sold": total(EntryKind.TOP_UP) - bonus,
        "bonus": bonus,
        "granted": total(EntryKind.GRANT),
        "charged": -total(EntryKind.CHARGE) - total(EntryKind.REFUND),
        "given_back": total(EntryKind.REFUND),
        "refunded": -total(EntryKind.ADJUSTMENT, of_payment=True),
        "adjusted": total(EntryKind.ADJUSTMENT, of_payment=False),
        "closing": closing,
        "paid_closing": paid,
        "free_closing": closing - paid,
        "money": {currency: pair for currency, pair in money.items() if pair != [0, 0]},
    }


def usage_of(
    interactions: Iterable[Interaction], start: datetime, end: datetime, fits: Callable[[Interaction], bool]
) -> dict[str, object]:
    """The figures of a usage row for those interactions that fit and ended in this period."""
    found = [each for each in interactions if each.finished_at and start <= each.finished_at < end and fits(each)]
    times = sorted(each.processing_time_ms or 0 for each in found)
    row: dict[str, object] = dict.fromkeys(("completed", "stopped", "failed", "timed_out", "interrupted"), 0)
    row |= Counter(each.outcome.value for each in found)
    return row | {
        "requests": len(found),
        "prompt_tokens": sum(each.usage.prompt_tokens for each in found),
        "completion_tokens": sum(each.usage.completion_tokens for each in found),
        "credits_charged": sum(each.credits_charged for each in found),
        **{f"latency_ms_p{part}": nearest_rank(times, part) for part in (50, 95, 99)},
    }


def nearest_rank(times: list[int], part: int) -> float | None:
    return times[ceil(part * len(times) / 100) - 1] if times else None
