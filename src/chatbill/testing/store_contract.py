"""The contract of every store that charges: a class of tests that needs one fixture, `store`.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> BillingStore:
        return MyStore()
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatbill.application.billing.postings import keep_hold, keep_posting, settle_hold
from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import Cause, LedgerEntry
from chatbill.domain.billing.subjects import Owner, Subject
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InsufficientCredits, InvariantViolation, NotFound
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import EntryId, HoldId, UserId, WalletId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PURSE = WalletId("purse")
GIFT = Description.of("gift")


def open_wallet(tx: BillingTransaction, credits_count: int = 100) -> Wallet:
    """Keep a wallet with some credits in it."""
    wallet = Wallet(id=PURSE, owner=Owner("customer", "ann"))
    tx.wallets.add(wallet)
    return give(tx, wallet, credits_count)


def give(tx: BillingTransaction, wallet: Wallet, amount: int) -> Wallet:
    """Keep a grant, and return the wallet after it."""
    entry_id = EntryId(f"{wallet.id}-{wallet.version + 1}")
    posting = wallet.grant(amount, entry_id=entry_id, at=NOON, cause=Cause(description=GIFT))
    keep_posting(tx, posting)
    return posting.wallet


def take_hold(tx: BillingTransaction, name: str = "job", amount: int = 5, *, ttl_s: float = 60) -> Hold:
    """Keep a hold for the subject of this name."""
    expires_at = NOON + timedelta(seconds=ttl_s)
    wallet = tx.wallets.lock(PURSE)
    subject, purpose = Subject("thing", name), Description.of("thing")
    return keep_hold(
        tx, wallet.hold(HoldId(name), amount, subject=subject, purpose=purpose, at=NOON, expires_at=expires_at)
    )


def settle(tx: BillingTransaction, hold: Hold, cost: int) -> LedgerEntry | None:
    """Capture or release a hold."""
    wallet = tx.wallets.lock(hold.wallet_id)
    return settle_hold(tx, wallet, hold, cost, entry_id=EntryId(f"charge-{hold.id}"), at=NOON)


async def purse(store: BillingStore) -> Wallet | None:
    """Return the wallet as the store has it."""
    return await store.write(lambda tx: tx.wallets.get(PURSE))


class StoreContract:
    """Tests the promises of a store: atomic and isolated transactions, and no broken rule of billing."""

    def prepare_user(self, tx: BillingTransaction, user_id: UserId) -> None:
        """Keep the user whom an idempotency key belongs to, where the store has users; override it there."""

    async def test_a_write_is_kept_and_returns_what_its_work_returns(self, store: BillingStore) -> None:
        kept = await store.write(open_wallet)
        assert await purse(store) == kept == Wallet(id=PURSE, owner=Owner("customer", "ann"), posted=100, version=1)

    async def test_nothing_is_kept_of_work_that_raises(self, store: BillingStore) -> None:
        await store.write(open_wallet)

        def work(tx: BillingTransaction) -> None:
            settle(tx, take_hold(tx), 3)
            raise LookupError("enough")

        with pytest.raises(LookupError, match="enough"):
            await store.write(work)
        assert await store.write(lambda tx: tx.holds.get(HoldId("job"))) is None
        kept = await purse(store)
        assert kept is not None
        assert (kept.posted, kept.held, kept.version) == (100, 0, 1)

    async def test_a_hundred_tasks_promise_no_more_than_the_wallet_owns(self, store: BillingStore) -> None:
        await store.write(lambda tx: open_wallet(tx, 10))

        async def attempt(number: int) -> bool:
            try:
                await store.write(lambda tx: take_hold(tx, f"job-{number}", 1))
            except InsufficientCredits:
                return False
            return True

        assert sum(await asyncio.gather(*map(attempt, range(100)))) == 10

    async def test_a_hold_is_settled_once(self, store: BillingStore) -> None:
        await store.write(open_wallet)
        # Another hold, so that the wallet itself could give the first one back twice.
        await store.write(lambda tx: take_hold(tx, "other"))
        hold = await store.write(take_hold)
        entry = await store.write(lambda tx: settle(tx, hold, 3))
        assert entry is not None
        assert (entry.amount, entry.balance_after, entry.cause.subject) == (3, 97, hold.subject)
        for cost in (3, 0):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, cost=cost: settle(tx, hold, cost))  # type: ignore[misc]
        kept = await purse(store)
        assert kept is not None
        assert (kept.posted, kept.held, kept.version) == (97, 5, 2)

    async def test_of_ten_that_settle_a_hold_at_once_one_does(self, store: BillingStore) -> None:
        await store.write(open_wallet)
        hold = await store.write(take_hold)
        results = await asyncio.gather(
            *(store.write(lambda tx, cost=cost: settle(tx, hold, cost)) for cost in range(5)),  # type: ignore[misc]
            *(store.write(lambda tx: settle(tx, hold, 0)) for _ in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, InvariantViolation) for result in results) == 9

    async def test_due_holds_come_oldest_first_up_to_the_limit(self, store: BillingStore) -> None:
        def work(tx: BillingTransaction) -> None:
            open_wallet(tx)
            for name, ttl_s in (("c", 30), ("a", 10), ("e", 90), ("b", 10), ("done", 1)):
                take_hold(tx, name, 1, ttl_s=ttl_s)
            settle(tx, take_hold(tx, "released", 1), 0)

        await store.write(work)
        later = NOON + timedelta(seconds=60)
        due = await store.write(lambda tx: tx.holds.due(later, 10))
        assert [hold.id for hold in due] == ["done", "a", "b", "c", "released"][:4]
        assert await store.write(lambda tx: tx.holds.due(later, 2)) == due[:2]

    async def test_entries_and_ids_come_once(self, store: BillingStore) -> None:
        await store.write(open_wallet)
        hold = await store.write(take_hold)
        entry = await store.write(lambda tx: settle(tx, hold, 3))
        assert entry is not None
        for wrong in (entry, replace(entry, id=EntryId("other"))):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, wrong=wrong: tx.ledger.append(wrong))  # type: ignore[misc]
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.add(Wallet(id=PURSE, owner=Owner("customer", "bob"))))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.add(hold))

    async def test_a_wallet_changes_with_its_entries_alone(self, store: BillingStore) -> None:
        wallet = await store.write(open_wallet)
        for wrong in (
            replace(wallet, posted=200),
            replace(wallet, held=101),
            replace(wallet, held=-1),
            replace(wallet, version=0),
            replace(wallet, owner=Owner("customer", "bob")),
        ):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, wrong=wrong: tx.wallets.save(wrong))  # type: ignore[misc]
        assert await purse(store) == wallet

    async def test_what_does_not_exist_is_not_found(self, store: BillingStore) -> None:
        assert await purse(store) is None
        with pytest.raises(NotFound):
            await store.write(lambda tx: tx.wallets.lock(PURSE))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.save(Wallet(id=PURSE, owner=Owner("customer", "ann"))))

    async def test_an_idempotency_key_is_claimed_once(self, store: BillingStore) -> None:
        record = IdempotencyRecord(user_id=UserId("ann"), key="k", fingerprint="f", created_at=NOON, subject_id="first")
        await store.write(lambda tx: self.prepare_user(tx, record.user_id))
        again = replace(record, fingerprint="g", subject_id="second")
        claims = await asyncio.gather(
            *(store.write(lambda tx, each=each: tx.idempotency.claim(each)) for each in (record, again))  # type: ignore[misc]
        )
        assert sum(claim is None for claim in claims) == 1
        assert await store.write(lambda tx: tx.idempotency.get(record.user_id, "k")) in (record, again)
