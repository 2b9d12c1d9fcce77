"""Transactions of the PostgreSQL store: safe retries, bounded waits, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from chatbill.adapters.persistence import PostgresStore, open_store
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, StoreUnavailable, Transaction
from chatbill.domain.shared.errors import EmailTaken, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import ConversationId, InteractionId, WalletId
from tests.kit.held import held, hold_one
from tests.kit.postgres import shared
from tests.kit.rows import (
    ALICE,
    PURSE,
    add_person,
    add_running,
    conversation,
    grant,
    interaction,
    later,
    new_wallet,
    payment,
    user,
)
from tests.kit.waiting import Gate

pytestmark = pytest.mark.postgres

BOBS = WalletId("wallet-bob")


async def test_one_of_two_deadlocked_transactions_runs_again_and_both_are_kept(url: str) -> None:
    store, met, runs = open_store(url), threading.Barrier(2), 0
    await store.write(add_person)
    await store.write(lambda tx: add_person(tx, "bob"))

    def crosswise(first: WalletId, second: WalletId, tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        hold_one(tx, first)
        if runs <= 2:
            met.wait(timeout=5)
        hold_one(tx, second)

    await asyncio.gather(
        store.write(lambda tx: crosswise(PURSE, BOBS, tx)), store.write(lambda tx: crosswise(BOBS, PURSE, tx))
    )
    assert runs == 3
    assert await held(store) == 2
    await store.close()


async def test_work_that_always_meets_a_serialization_failure_is_refused_in_the_end(store: PostgresStore) -> None:
    runs = 0

    def unlucky(tx: Any) -> None:
        nonlocal runs
        runs += 1
        tx.wallets._connection.command("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(StoreUnavailable):
        await store.write(unlucky)
    assert 1 < runs <= 6
    assert await store.write(hold_one) == 1


async def test_a_row_locked_too_long_by_another_transaction_is_reported(store: PostgresStore, url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM wallets WHERE id = 'wallet-alice' FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock_timeout"):
            await store.write(hold_one)
        assert await held(store) == 0
        other.rollback()
    assert await store.write(hold_one) == 1


async def test_a_statement_that_takes_too_long_is_reported(store: PostgresStore) -> None:
    with pytest.raises(StoreUnavailable, match="statement_timeout"):
        await store.read(lambda snapshot: snapshot.wallets._connection.command("SELECT pg_sleep(9)"))  # type: ignore[attr-defined]
    assert await held(store) == 0


async def test_a_reference_to_a_wallet_does_not_wait_for_a_change_of_the_wallet(store: PostgresStore, url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM wallets WHERE id = 'wallet-alice' FOR NO KEY UPDATE")
        await store.write(lambda tx: tx.payments.add(payment()))
        other.rollback()


async def test_a_transaction_that_is_idle_too_long_is_rolled_back(store: PostgresStore) -> None:
    def dawdle(tx: Transaction) -> None:
        hold_one(tx)
        time.sleep(1.5)

    with pytest.raises(StoreUnavailable):
        await store.write(dawdle)
    assert await held(store) == 0


async def test_work_that_hides_a_database_failure_fails_all_the_same(store: PostgresStore, url: str) -> None:
    def hides(tx: Transaction) -> str:
        try:
            hold_one(tx)
        except StoreUnavailable:
            return "all is well"
        return "nothing to hide"

    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM wallets FOR UPDATE")
        with pytest.raises(StoreUnavailable):
            await store.write(hides)
        other.rollback()
    assert await store.write(hides) == "nothing to hide"


async def test_work_that_continues_after_a_violation_runs_again_with_savepoints(store: PostgresStore) -> None:
    runs = 0

    def goes_on(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        hold_one(tx)
        with pytest.raises(EmailTaken):
            tx.users.add(user("x", email="alice@example.org", wallet_id=PURSE))
        with pytest.raises(InvariantViolation):
            tx.wallets.save(new_wallet(posted=1, held=2, version=1))
        return hold_one(tx)

    assert await store.write(goes_on) == 2
    assert runs == 2
    assert await held(store) == 2


def taken(tx: Transaction) -> None:
    """Add a user whose e-mail address is taken."""
    tx.users.add(user("x", email="alice@example.org", wallet_id=PURSE))


@pytest.mark.parametrize("locks_first", [True, False])
async def test_work_that_handles_an_error_gets_it_from_the_statement_that_caused_it(
    store: PostgresStore, locks_first: bool
) -> None:
    def insists(tx: Transaction) -> str:
        if locks_first:
            tx.wallets.lock(PURSE)
        try:
            taken(tx)
        except EmailTaken:
            return "taken"
        raise LookupError("it should have been taken")

    def blames(tx: Transaction) -> str:
        if locks_first:
            tx.wallets.lock(PURSE)
        with contextlib.suppress(EmailTaken):
            taken(tx)
        try:
            tx.wallets.lock(BOBS)
        except EmailTaken:
            return "somebody else"
        return "nobody else"

    assert await store.write(insists) == "taken"
    assert await store.write(blames) == "nobody else"


async def test_an_error_of_a_queued_statement_reaches_the_caller_and_nothing_is_kept(store: PostgresStore) -> None:
    def goes_on(tx: Transaction) -> None:
        taken(tx)
        hold_one(tx)

    def changes_nothing(tx: Transaction) -> None:
        hold_one(tx)
        tx.wallets.save(new_wallet("none"))

    for work, error in ((taken, EmailTaken), (goes_on, EmailTaken), (changes_nothing, InvariantViolation)):
        with pytest.raises(error):
            await store.write(work)
    assert await held(store) == 0


async def test_an_error_names_the_violated_rule_and_no_values_of_the_row(store: PostgresStore) -> None:
    with pytest.raises(EmailTaken) as known:
        await store.write(lambda tx: tx.users.add(user("x", email="alice@example.org", wallet_id=PURSE)))
    with pytest.raises(InvariantViolation, match="ck_wallets_available") as broken:
        await store.write(lambda tx: tx.wallets.save(new_wallet(posted=100, held=54321, version=1)))
    for caught in (known, broken):
        assert "alice@example" not in str(caught.value.__cause__)
        assert "54321" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize("text", ["nul\0", "\ud800"])
async def test_text_that_cannot_be_stored_is_refused_and_not_found(store: PostgresStore, text: str) -> None:
    def query(snapshot: Snapshot) -> list[Any]:
        return [
            snapshot.users.by_login(text),
            snapshot.interactions.get(InteractionId(text)),
            *snapshot.interactions.history(ALICE, HistoryFilter(text=text), after=None, limit=9),
        ]

    assert await store.read(query) == [None, None]
    with pytest.raises(InvalidRequest):
        await store.write(lambda tx: tx.conversations.add(conversation("new", title=text)))
    assert await store.write(hold_one) == 1


async def test_an_id_that_is_too_long_is_refused_and_not_found(store: PostgresStore) -> None:
    long = "x" * 64
    await store.write(lambda tx: tx.conversations.add(conversation(long)))
    assert await store.read(lambda snapshot: snapshot.conversations.get(ConversationId(long + "y"))) is None
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.conversations.add(conversation(long + "y")))


async def test_the_largest_amounts_and_microseconds_are_kept(store: PostgresStore) -> None:
    def work(tx: Transaction) -> None:
        keep_posting(tx, grant(tx.wallets.lock(PURSE), 999_999_999_999_900, at=later(0.000001)))

    await store.write(work)
    (entry,) = await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, limit=1))
    assert (entry.amount, entry.balance_after) == (999_999_999_999_900, 10**15)
    assert entry.created_at == later(0.000001)


async def test_a_snapshot_cannot_write(store: PostgresStore) -> None:
    with pytest.raises(StoreUnavailable, match="server_read_only"):
        await store.read(lambda snapshot: snapshot.wallets.save(new_wallet()))  # type: ignore[attr-defined]


async def test_a_value_of_the_wrong_type_is_a_bug_and_not_a_failure_of_the_database(store: PostgresStore) -> None:
    with pytest.raises(InvariantViolation, match="does not understand"):
        await store.write(lambda tx: tx.wallets.lock(object()))  # type: ignore[arg-type]
    with pytest.raises(InvariantViolation, match="does not understand"):
        await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, below_version=10**30, limit=9))
    assert await store.write(hold_one) == 1


async def test_a_database_without_tables_says_what_to_run() -> None:
    store = open_store(shared().empty())
    with pytest.raises(StoreUnavailable, match="no_tables"):
        await store.write(hold_one)
    await store.close()


@pytest.mark.parametrize("kind", ["write", "read"])
async def test_the_number_of_waiting_jobs_and_their_time_are_bounded(store: PostgresStore, kind: str) -> None:
    call: Callable[[Any], Any] = getattr(store, kind)
    gates = [Gate() for _ in range(3 if kind == "write" else 2)]
    busy = [asyncio.create_task(call(gate)) for gate in gates]
    for gate in gates:
        await asyncio.to_thread(gate.entered.wait)
    waiting = [asyncio.create_task(call(lambda _: None)) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="50 requests wait"):
        await call(lambda _: None)
    await asyncio.sleep(0.6)
    for gate in gates:
        gate.open.set()
    await asyncio.gather(*busy)
    late = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in late} == {StoreUnavailable}
    assert "waited too long" in str(late[0])


async def test_sweeps_of_several_processes_do_not_disturb_each_other(url: str) -> None:
    stores = [open_store(url) for _ in range(3)]
    await stores[0].write(add_person)
    for number in range(10):
        await stores[0].write(lambda tx, number=number: add_running(tx, f"n{number}", held=1))  # type: ignore[misc]
    from tests.kit.support import world  # noqa: PLC0415

    sides = [world(store=store) for store in stores]
    for side in sides:
        side.clock.advance(10**9)
    await asyncio.gather(*(side.use_cases.maintenance.expire_holds() for side in sides))
    assert await held(stores[0]) == 0
    row = await stores[1].read(lambda snapshot: snapshot.interactions.get(interaction("n3").id))
    assert row is not None
    assert row.outcome == "interrupted"
    await asyncio.gather(*(store.close() for store in stores))
