"""Events on PostgreSQL, where a transaction may end after one that began later: a reader passes over none of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.sql import schema
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.reports.roll_up import RollUp, RollUpState
from chatbill.domain.billing.events import BillingEvent, EventKind
from chatbill.domain.shared.errors import InvalidRequest
from tests.kit.postgres import shared
from tests.kit.rows import NOON, PURSE, add_person, later

pytestmark = pytest.mark.postgres
WAIT_S = 30


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Store]:
    store = open_store(shared().fresh())
    await store.write(add_person)
    yield store
    await store.close()


def event(amount: int) -> BillingEvent:
    return BillingEvent(kind=EventKind.ADJUSTED, wallet_id=PURSE, amount=amount, at=NOON)


async def seen(store: Store, after: str | None) -> tuple[list[int], str | None]:
    """The amounts of the events past a position, and the last position."""
    found = await store.read(lambda snapshot: snapshot.outbox.after(after, 99))
    return [each.event.amount for each in found], found[-1].position if found else after


async def test_events_of_a_late_transaction_come_before_those_that_waited_for_it(store: Store) -> None:
    _, start = await seen(store, None)
    has_written, may_end = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        tx.outbox.add(event(1))
        tx.wallets.get(PURSE)  # what was queued is sent before this answers
        has_written.set()
        assert may_end.wait(WAIT_S)

    writing = asyncio.create_task(store.write(slow))
    assert await asyncio.to_thread(has_written.wait, WAIT_S)
    await store.write(lambda tx: tx.outbox.add(event(2)))
    assert await seen(store, start) == ([], start)
    may_end.set()
    await writing
    amounts, last = await seen(store, start)
    assert amounts == [1, 2]
    assert await seen(store, last) == ([], last)


async def test_old_events_are_forgotten_and_the_rest_keeps_its_positions(store: Store) -> None:
    _, last = await seen(store, None)
    assert await store.write(lambda tx: tx.outbox.forget(before=later(1), limit=99)) == 1
    await store.write(lambda tx: tx.outbox.add(event(3)))
    assert (await seen(store, last))[0] == [3]


@pytest.mark.parametrize("position", ["", "1", "1.", "-1.2", "1.2.3", "x", "9" * 30 + ".1", "\u0661.\u0662"])
async def test_a_position_that_no_event_has_is_refused(store: Store, position: str) -> None:
    with pytest.raises(InvalidRequest):
        await seen(store, position)


@pytest.mark.parametrize("prefix", ["", "shop_"])
async def test_events_of_a_dump_from_another_server_are_seen_after_an_upgrade(prefix: str) -> None:
    url = shared().fresh(prefix)
    store = open_store(url, prefix=prefix)
    await store.write(add_person)
    with psycopg.connect(url) as there:
        there.execute(
            f"INSERT INTO {prefix}outbox (transaction_id, kind, wallet_id, amount, at)"  # noqa: S608 - our own words
            f" VALUES (9000000000000000000, 'adjusted', '{PURSE}', 7, now())"
        )
    (first,), _ = await seen(store, None)
    schema.upgrade(url, prefix=prefix)
    assert (await seen(store, None))[0] == [first, 7]
    await store.write(lambda tx: tx.outbox.add(event(8)))
    assert (await seen(store, None))[0] == [first, 7, 8]
    with psycopg.connect(url) as there, pytest.raises(psycopg.Error, match="an event never changes"):
        there.execute(f"UPDATE {prefix}outbox SET amount = 1")  # noqa: S608 - our own words
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("prefix", ["", "shop_"])
async def test_a_roll_up_that_was_on_another_server_reads_its_events_again(prefix: str) -> None:
    url = shared().fresh(prefix)
    store = open_store(url, prefix=prefix)
    roll_up = RollUp(store=store, clock=lambda: later(9))
    await store.write(add_person)
    assert await roll_up.count()
    there = RollUpState(position="9000000000000000000.5", wallet=None, day=None)
    await store.write(lambda tx: tx.reports.put_note("state", "roll-up", there.dumps()))
    schema.upgrade(url, prefix=prefix)
    await store.write(lambda tx: add_person(tx, "bob"))
    assert await roll_up.count()
    counted = await store.read(lambda snapshot: list(snapshot.reports.movements(NOON, later(9))))
    assert {each.wallet_id for each in counted} == {PURSE, "wallet-bob"}
    await store.close()
