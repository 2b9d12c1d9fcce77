"""The repositories of wallets, holds, the ledger and payments, on every store."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chatbill.application.billing.postings import keep_hold, keep_posting
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import Cause, EntryKind, LedgerEntry
from chatbill.domain.billing.payments import Money
from chatbill.domain.billing.wallets import Posting, Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import EntryId, HoldId, PaymentId, WalletId
from tests.contract.repositories.changes import fill
from tests.kit.rows import BOB, PURSE, add_running, charge, grant, interaction, later, new_wallet, payment, promise

SORRY = Description.of("by_hand", reason="Sorry")


class TestWallets:
    async def test_that_do_not_exist_cannot_be_locked_or_saved(self, store: Store) -> None:
        assert await store.read(lambda snapshot: snapshot.wallets.get(WalletId("none"))) is None
        with pytest.raises(NotFound):
            await store.write(lambda tx: tx.wallets.lock(WalletId("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.save(new_wallet("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.add(new_wallet()))

    @pytest.mark.parametrize(
        "wrong",
        [
            new_wallet(posted=100, held=101, version=1),
            new_wallet(posted=100, held=-1, version=1),
            new_wallet(posted=-1, held=0, version=2),
        ],
    )
    async def test_can_neither_promise_more_than_they_own_nor_less_than_nothing(
        self, store: Store, wrong: Wallet
    ) -> None:
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.save(wrong))
        assert await store.read(lambda snapshot: snapshot.wallets.get(PURSE)) == new_wallet(posted=100, version=1)

    async def test_are_read_several_at_once(self, store: Store) -> None:
        asked = [PURSE, WalletId("none"), PURSE]
        assert await store.read(lambda snapshot: snapshot.wallets.among(asked)) == [
            await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
        ]
        assert await store.read(lambda snapshot: snapshot.wallets.among([])) == []


class TestHolds:
    async def test_are_settled_once(self, store: Store) -> None:
        await store.write(add_running)
        pending = await store.read(lambda snapshot: snapshot.holds.get(HoldId("hold-first")))
        assert pending is not None
        assert pending.is_pending
        charged = await store.write(charge)
        assert await store.read(lambda snapshot: snapshot.holds.get(pending.id)) == charged.hold
        released = new_wallet(posted=100, held=5).release(pending, at=later(3)).hold
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(released))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(replace(released, id=HoldId("none"))))
        assert await store.read(lambda snapshot: snapshot.holds.get(pending.id)) == charged.hold

    async def test_cannot_be_negative_captured_for_more_or_added_twice(self, store: Store) -> None:
        hold = await store.write(add_running)
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.add(hold))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.add(replace(hold, id=HoldId("other"), amount=-1)))
        captured = new_wallet(posted=100, held=5).capture(hold, 5, entry_id=EntryId("none"), at=later(3)).hold
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(replace(captured, captured=6)))

    async def test_that_are_due_come_oldest_first_up_to_the_limit(self, store: Store) -> None:
        holds: dict[str, Hold] = {}

        def work(tx: Transaction) -> None:
            for name, expires_at in (("c", 30), ("a", 10), ("e", 90), ("b", 10), ("d", 60), ("done", 1)):
                running = interaction(name, held=1)
                made = promise(tx.wallets.lock(PURSE), running, expires_at=later(expires_at))
                holds[name] = keep_hold(tx, made)
                tx.interactions.add(running)
            charge(tx, "done", 1)

        await store.write(work)
        due = await store.read(lambda snapshot: snapshot.holds.due(later(60), 10))
        assert due == [holds[name] for name in ("a", "b", "c", "d")]
        assert await store.read(lambda snapshot: snapshot.holds.due(later(60), 2)) == due[:2]
        assert await store.read(lambda snapshot: snapshot.holds.due(later(9), 2)) == []


class TestLedger:
    async def test_entries_come_newest_first_by_kind_period_and_version(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number in range(1, 4):
                keep_posting(tx, grant(tx.wallets.lock(PURSE), number, at=later(number)))
            add_running(tx)
            charge(tx)

        await store.write(work)

        async def versions(**filters: Any) -> list[int]:
            arguments: dict[str, Any] = {"limit": 10} | filters
            found = await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, **arguments))
            return [entry.wallet_version for entry in found]

        assert await versions() == [5, 4, 3, 2, 1]
        assert await versions(limit=2) == [5, 4]
        assert await versions(below_version=4, limit=2) == [3, 2]
        assert await versions(kind=EntryKind.CHARGE) == [5]
        assert await versions(kind=EntryKind.TOP_UP) == []
        assert await versions(period=Period(start=later(1), end=later(3))) == [5, 3, 2]
        assert await versions(period=Period(start=later(2)), kind=EntryKind.GRANT, below_version=4) == [3]

    async def test_refunds_are_found_by_the_holds_that_they_give_back(self, store: Store) -> None:
        def work(tx: Transaction) -> list[LedgerEntry]:
            given = []
            for name, amounts in (("first", (1, 2)), ("second", (3,)), ("third", ())):
                add_running(tx, name)
                hold = charge(tx, name).hold
                for amount in amounts:
                    cause = Cause(description=SORRY, subject=hold.subject, hold_id=hold.id, author=BOB)
                    entry_id = EntryId(f"{name}-{amount}")
                    refund = tx.wallets.lock(PURSE).refund(hold, amount, entry_id=entry_id, at=later(9), cause=cause)
                    hold = refund.hold
                    tx.holds.save_refund(hold)
                    given.append(keep_posting(tx, Posting(refund.wallet, refund.entry)))
            return given

        given = await store.write(work)
        holds = {entry.id: entry.cause.hold_id for entry in given}

        async def found(*wanted: str) -> set[EntryId]:
            ids = [hold_id for name in wanted if (hold_id := holds[EntryId(name)])]
            return {entry.id for entry in await store.read(lambda snapshot: snapshot.ledger.refunds_of(ids))}

        assert await found("first-1") == {EntryId("first-1"), EntryId("first-2")}
        assert await found("first-1", "second-3") == set(holds)
        assert await found() == set()

    async def test_entries_come_back_as_they_went_in(self, store: Store) -> None:
        await store.write(add_running)
        charged = await store.write(charge)
        (newest,) = await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, limit=1))
        assert newest == charged.entry

    async def test_a_version_comes_once_and_a_hold_is_charged_once(self, store: Store) -> None:
        await store.write(add_running)
        charged = await store.write(charge)
        again = replace(charged.entry, id=EntryId("again"), wallet_version=3, balance_after=92)
        same_version = replace(grant(new_wallet()).entry, id=EntryId("other"))
        for entry in (again, same_version, charged.entry):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, entry=entry: tx.ledger.append(entry))  # type: ignore[misc]
        assert len(await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, limit=10))) == 2


class TestPayments:
    async def test_are_confirmed_once(self, store: Store) -> None:
        confirmed = payment().confirmed(at=later(1), balance_after=200)

        def work(tx: Transaction) -> Any:
            tx.payments.add(payment())
            locked = tx.payments.lock(PaymentId("payment"))
            tx.payments.save(confirmed)
            return locked

        assert await store.write(work) == payment()
        assert await store.read(lambda snapshot: snapshot.payments.get(PaymentId("payment"))) == confirmed
        assert await store.read(lambda snapshot: snapshot.payments.get(PaymentId("none"))) is None
        for again in (confirmed, payment(), payment("none")):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, again=again: tx.payments.save(again))  # type: ignore[misc]
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.payments.add(payment()))

    @pytest.mark.parametrize("amount", ["0.00", "0.01", "4.99", "9999999999.99"])
    async def test_keep_their_price_to_the_cent(self, store: Store, amount: str) -> None:
        paid = payment(price=Money(Decimal(amount), "JPY"))
        await store.write(lambda tx: tx.payments.add(paid))
        stored = await store.read(lambda snapshot: snapshot.payments.get(paid.id))
        assert stored == paid
        assert str(stored.price.amount) == amount


class TestBooks:
    async def test_are_read_in_the_order_the_audit_asks_for(self, store: Store) -> None:
        await store.write(fill)
        await store.write(lambda tx: add_running(tx, "of-bob", user_id=BOB, wallet_id=WalletId("wallet-bob")))

        def query(snapshot: Snapshot) -> tuple[list[Any], ...]:
            books = snapshot.audit
            return list(books.wallets()), list(books.entries()), list(books.settlements()), list(books.unheld())

        wallets, entries, settlements, unheld = await store.read(query)
        assert [wallet.id for wallet in wallets] == ["wallet-alice", "wallet-bob"]
        places = [(entry.wallet_id, entry.wallet_version) for entry in entries]
        assert places == [*((PURSE, version) for version in range(1, 7)), ("wallet-bob", 1)]
        assert [row.wallet_id for row in settlements] == [PURSE] * 10 + ["wallet-bob"]
        assert sum(row.charges for row in settlements) == 5
        assert sum(row.charged for row in settlements) == sum(row.captured for row in settlements) == 20
        assert unheld == []
