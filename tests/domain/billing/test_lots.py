"""Which credits were paid for: the replay of a wallet's entries, compared with one credit at a time."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given

from chatbill.adapters.memory import MemoryStore
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.lots import Lot, Lots, Spent
from chatbill.domain.billing.payments import Money
from chatbill.domain.shared.ids import EntryId, HoldId, PaymentId
from tests.kit.histories import SPRING, Act, Raw, Writer, histories, raw_rows
from tests.kit.raw_reports import Purse
from tests.kit.rows import NOON, grant, new_wallet, payment

BOUGHT = payment("p", credits=110, bonus=10, price=Money(Decimal("4.99"), "EUR"))
LOT = Lot(1, PaymentId("p"), 100, 499, "EUR", 100)


def entry(kind: EntryKind, amount: int, *, version: int = 1) -> LedgerEntry:
    """An entry of this kind; only an adjustment can be negative."""
    like = grant(new_wallet()).entry
    mine = f"wallet:{like.wallet_id}"
    sides = {"debit": "house", "credit": mine} if amount > 0 else {"debit": mine, "credit": "house"}
    return LedgerEntry(
        id=EntryId("e"),
        kind=kind,
        amount=abs(amount),
        wallet_id=like.wallet_id,
        wallet_version=version,
        balance_after=0,
        created_at=NOON,
        cause=like.cause,
        **sides,
    )


def after(lots: Lots, kind: EntryKind, amount: int, spent: Spent = ()) -> tuple[Lots, Spent]:
    return lots.after(entry(kind, amount), None, spent)


def test_the_bonus_of_a_purchase_is_free_and_the_rest_has_its_price() -> None:
    lots, _ = Lots().after(entry(EntryKind.TOP_UP, 110), BOUGHT)
    assert (lots.free, lots.paid, lots.owed()) == (10, 100, {"EUR": 499})


def test_free_credits_are_spent_first_and_then_those_of_the_oldest_purchase() -> None:
    newer = Lot(5, PaymentId("q"), 10, 100, "EUR", 10)
    lots, spent = after(Lots(10, (LOT, newer)), EntryKind.CHARGE, 30)
    assert (lots.free, [lot.left for lot in lots.purchases]) == (0, [80, 10])
    assert spent == ((0, 10), (1, 20))
    assert lots.owed() == {"EUR": 399 + 100}  # 80 of 100 credits for 4.99 are 3.992


def test_credits_given_back_return_to_where_they_came_from_paid_ones_first() -> None:
    spent_from = Lots(10, (LOT,))
    lots, spent = after(spent_from, EntryKind.CHARGE, 30)
    lots, spent = after(lots, EntryKind.REFUND, 25, spent)
    assert (lots.free, lots.paid, spent) == (5, 100, ((0, 5),))
    lots, spent = after(lots, EntryKind.REFUND, 5, spent)
    assert (lots, spent) == (spent_from, ())


def test_a_returned_payment_takes_what_is_left_of_its_purchase_and_then_other_credits() -> None:
    lots, spent = after(Lots(10, (LOT,)), EntryKind.CHARGE, 30)
    lots, _ = lots.after(entry(EntryKind.ADJUSTMENT, -110), BOUGHT)
    assert (lots.free, lots.paid, lots.owed()) == (-30, 0, {})
    given_back, _ = after(lots, EntryKind.REFUND, 30, spent)
    assert (given_back.free, given_back.paid) == (0, 0), "credits of a purchase that is gone come back as free ones"


def test_a_debt_is_settled_by_the_next_credits_of_any_kind() -> None:
    lots, _ = after(Lots(5), EntryKind.ADJUSTMENT, -25)
    assert lots == Lots(-20)
    lots, _ = lots.after(entry(EntryKind.TOP_UP, 110), BOUGHT)
    assert (lots.free, lots.paid) == (0, 90)


def test_lots_are_the_same_after_they_were_stored() -> None:
    assert Lots.loads(Lots(-3, (LOT,)).dumps()) == Lots(-3, (LOT,))


@given(histories)
def test_paid_and_free_credits_are_the_balance_after_every_entry(history: list[tuple[int, Act]]) -> None:
    raw = asyncio.run(written(history))
    for wallet_id in {entry.wallet_id for entry in raw.entries}:
        lots, purse = Lots(), Purse(raw.payments)
        spent: dict[HoldId | None, Spent] = {}
        for each in sorted((e for e in raw.entries if e.wallet_id == wallet_id), key=lambda e: e.wallet_version):
            subject, hold_id = each.cause.subject, each.cause.hold_id
            before = spent.get(hold_id, ())
            lots, left = lots.after(each, raw.payments.get(subject.id) if subject else None, before)
            if hold_id:
                spent[hold_id] = left
            purse.enter(each)
            assert lots.paid + lots.free == each.balance_after
            assert lots.free >= 0 or lots.paid == 0
            assert (lots.paid, lots.free) == (purse.paid, purse.free)
            assert {key: value for key, value in lots.owed().items() if value} == {
                key: value for key, value in purse.owed().items() if value
            }


async def written(history: list[tuple[int, Act]]) -> Raw:
    writer = Writer(MemoryStore(), SPRING)
    await writer.people()
    await writer.write(history)
    return await raw_rows(writer.store)
