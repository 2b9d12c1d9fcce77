"""Every store keeps the same promises: all or nothing, alone, durable, and snapshots that stand still."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.application.billing.postings import keep_hold, keep_posting
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.domain.accounts.api_keys import ApiKey
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError, InsufficientCredits, InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, ConversationId, EntryId, SessionId, WalletId
from tests.kit.rows import (
    ALICE,
    NOON,
    PURSE,
    TALK,
    add_person,
    add_running,
    api_key,
    charge,
    conversation,
    grant,
    interaction,
    later,
    new_wallet,
    payment,
    promise,
    session,
)
from tests.kit.stores import EVERY_STORE, STORES


@pytest_asyncio.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = STORES[request.param](tmp_path)
    yield opened
    await opened.close()


async def purse(store: Store) -> Wallet:
    wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    assert wallet is not None
    return wallet


async def test_a_write_returns_what_its_work_returns_and_is_read_afterwards(store: Store) -> None:
    added = await store.write(add_person)
    assert await purse(store) == added == new_wallet(posted=100, held=0, version=1)


async def test_nothing_is_kept_of_work_that_raises_and_the_error_reaches_the_caller(store: Store) -> None:
    def work(tx: Transaction) -> None:
        add_person(tx)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        await store.write(work)
    assert await store.read(lambda snapshot: snapshot.wallets.get(PURSE)) is None
    assert await store.read(lambda snapshot: snapshot.users.by_login("alice")) is None


async def test_an_error_in_one_of_many_simultaneous_works_takes_nothing_from_the_others(store: Store) -> None:
    await store.write(add_person)

    def work(number: int, tx: Transaction) -> int:
        add_running(tx, f"n-{number}", held=1)
        if number % 3 == 0:
            raise LookupError(str(number))
        return number

    results = await asyncio.gather(
        *(store.write(lambda tx, number=number: work(number, tx)) for number in range(30)),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert [result for result in results if isinstance(result, int)] == [n for n in range(30) if n % 3]
    assert [str(result) for result in results if isinstance(result, LookupError)] == [str(n) for n in range(0, 30, 3)]
    assert (await purse(store)).held == 20


async def test_even_an_error_that_stops_iteration_reaches_the_caller(store: Store) -> None:
    def work(tx: Transaction) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.write(work)


async def test_work_that_catches_a_broken_rule_can_go_on(store: Store) -> None:
    def work(tx: Transaction) -> str:
        add_person(tx)
        try:
            tx.wallets.save(new_wallet(posted=1, held=2, version=2))
        except InvariantViolation:
            return "caught"
        return "missed"

    assert await store.write(work) == "caught"
    assert await purse(store) == new_wallet(posted=100, held=0, version=1)


async def test_a_transaction_sees_its_own_changes(store: Store) -> None:
    def work(tx: Transaction) -> int:
        add_person(tx)
        add_running(tx)
        return charge(tx).wallet.posted - tx.wallets.lock(PURSE).posted

    assert await store.write(work) == 0


async def test_changing_what_was_read_changes_nothing_until_it_is_saved(store: Store) -> None:
    """Rows of which a use case changes a field are copies."""
    rows: list[Callable[[Snapshot | Transaction], Any]] = [
        lambda rows: rows.users.get(ALICE),
        lambda rows: rows.sessions.get(SessionId("session")),
        lambda rows: rows.api_keys.get(ApiKeyId("ci")),
        lambda rows: rows.conversations.get(TALK),
    ]

    def add(tx: Transaction) -> None:
        add_person(tx)
        tx.sessions.add(session())
        tx.api_keys.add(api_key())
        for row in rows:
            row(tx).created_at = later(7)

    await store.write(add)
    for row in rows:
        (await store.read(row)).created_at = later(8)
        assert (await store.read(row)).created_at == NOON


async def test_what_was_saved_does_not_change_with_the_row_that_the_caller_keeps(store: Store) -> None:
    await store.write(add_person)
    kept: tuple[Session, ApiKey, Conversation] = (session(), api_key(), conversation("other"))

    def add(tx: Transaction) -> None:
        tx.sessions.add(kept[0])
        tx.api_keys.add(kept[1])
        tx.conversations.add(kept[2])

    await store.write(add)
    for row in kept:
        row.created_at = later(9)
    stored = await store.read(
        lambda snapshot: [
            snapshot.sessions.get(SessionId("session")),
            snapshot.api_keys.get(ApiKeyId("ci")),
            snapshot.conversations.get(ConversationId("other")),
        ]
    )
    assert stored == [session(), api_key(), conversation("other")]


async def test_rows_of_the_books_cannot_be_changed(store: Store) -> None:
    def work(tx: Transaction) -> list[Any]:
        add_person(tx)
        hold = add_running(tx)
        charged = charge(tx)
        tx.payments.add(payment())
        found = [
            tx.wallets.lock(PURSE),
            tx.holds.get(hold.id),
            tx.ledger.get(charged.entry.id),
            tx.interactions.get(interaction().id),
            tx.payments.lock(payment().id),
        ]
        assert all(found)
        return found

    for row in await store.write(work):
        with pytest.raises(FrozenInstanceError):
            row.id = "another"


async def test_a_snapshot_stands_still_while_others_write(store: Store) -> None:
    """The memory store makes the writer wait; the others let it write. What the reader sees is the same."""
    await store.write(add_person)
    started, loop = asyncio.Event(), asyncio.get_running_loop()
    read_once, go_on = threading.Event(), threading.Event()

    def query(snapshot: Snapshot) -> tuple[Wallet | None, Wallet | None]:
        before = snapshot.wallets.get(PURSE)
        read_once.set()
        loop.call_soon_threadsafe(started.set)
        go_on.wait(timeout=0.2)
        return before, snapshot.wallets.get(PURSE)

    def work(tx: Transaction) -> None:
        add_running(tx)

    reading = asyncio.create_task(store.read(query))
    await started.wait()
    writing = asyncio.create_task(store.write(work))
    await asyncio.wait({writing}, timeout=1)
    go_on.set()
    before, after = await reading
    await writing
    assert before == after
    assert (await purse(store)).held == 5


async def test_a_hundred_tasks_never_promise_more_than_the_wallet_owns(store: Store) -> None:
    await store.write(lambda tx: add_person(tx, credits_=10))

    async def attempt(number: int) -> bool:
        def work(tx: Transaction) -> None:
            keep_hold(tx, promise(tx.wallets.lock(PURSE), interaction(f"h-{number}"), 1))

        try:
            await store.write(work)
        except InsufficientCredits:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, range(100)))) == 10
    assert await purse(store) == new_wallet(posted=10, held=10, version=1)


async def test_totals_are_right_whenever_they_are_read_while_credits_move(store: Store) -> None:
    names = ("alice", "bob", "carol")
    wallets = [WalletId(f"wallet-{name}") for name in names]
    for name in names:
        await store.write(lambda tx, name=name: add_person(tx, name))  # type: ignore[misc]

    def total(snapshot: Snapshot) -> int:
        return sum(wallet.posted for wallet in map(snapshot.wallets.get, wallets) if wallet)

    def give_to_all(tx: Transaction) -> None:
        for wallet_id in wallets:
            keep_posting(tx, grant(tx.wallets.lock(wallet_id), 1))

    totals: list[int] = []

    async def read_often() -> None:
        for _ in range(50):
            totals.append(await store.read(total))  # noqa: PERF401 - one after the other

    await asyncio.gather(read_often(), *(store.write(give_to_all) for _ in range(50)))
    assert {seen % 3 for seen in totals} == {0}
    assert await store.read(total) == 450


async def test_a_task_cancelled_before_its_turn_leaves_the_store_as_it_was_and_usable(store: Store) -> None:
    writing = asyncio.create_task(store.write(add_person))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await store.read(lambda snapshot: snapshot.wallets.get(PURSE)) is None
    await store.write(add_person)


async def test_a_closed_store_refuses_and_may_be_closed_again(store: Store) -> None:
    await store.write(add_person)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.write(add_person)
    with pytest.raises(StoreUnavailable, match="closed"):
        await purse(store)


async def test_it_serves_several_event_loops_one_after_the_other(store: Store) -> None:
    await store.write(add_person)
    assert await asyncio.to_thread(asyncio.run, purse(store)) == await purse(store)


async def test_a_refused_id_leaves_nothing_of_its_posting_or_hold_behind(store: Store) -> None:
    """An application that catches the refusal, because it means that the work was done before, goes on."""
    await store.write(add_person)
    await store.write(add_running)

    def work(tx: Transaction) -> None:
        wallet = tx.wallets.lock(PURSE)
        again = wallet.grant(
            7, entry_id=EntryId("wallet-alice-1"), at=NOON, cause=Cause(description=Description("again"))
        )
        with contextlib.suppress(InvariantViolation):
            keep_posting(tx, again)
        with contextlib.suppress(InvariantViolation):
            keep_hold(tx, promise(wallet, interaction("first")))

    # PostgreSQL gives the whole transaction up after a refusal, which keeps nothing either.
    with contextlib.suppress(ChatbillError):
        await store.write(work)
    kept = await purse(store)
    assert (kept.posted, kept.held) == (100, 5)
