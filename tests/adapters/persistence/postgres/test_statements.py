"""Statements of the PostgreSQL store: prepared once, read by an index, and small in memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from chatbill.adapters.persistence import PostgresStore, open_store
from chatbill.adapters.persistence.postgres.connection import PostgresConnection, Query
from chatbill.adapters.persistence.postgres.driver import Timeouts, connect_for_store, load_driver, postgres_database
from chatbill.adapters.persistence.postgres.worker import READ_WRITE
from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ConversationId, HoldId, UserId
from tests.kit.held import held
from tests.kit.postgres import shared
from tests.kit.rows import ALICE, PURSE, TALK, add_person, conversation, later

pytestmark = pytest.mark.postgres


async def test_a_scan_of_everything_may_take_its_time(url: str) -> None:
    store = PostgresStore(make_url(url), readers=1, timeouts=Timeouts(idle_in_transaction_timeout_s=0.2))
    await store.write(add_person)

    def slowly(snapshot: Snapshot) -> int:
        read = 0
        for _ in snapshot.audit.wallets():
            time.sleep(0.6)
            read += 1
        return read

    assert await store.read(slowly) == 1
    await store.close()


def run(connection: PostgresConnection, sql: str) -> list[Any]:
    [result] = connection.run_together([Query(sql, prepare=False)])
    return result.fetchall()


async def test_commits_are_durable_even_if_the_database_is_configured_otherwise(url: str) -> None:
    name = make_url(url).database
    shared().run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    connection = connect_for_store(postgres_database(load_driver()), make_url(url), Timeouts())
    assert run(connection, "SHOW synchronous_commit") == [("on",)]
    connection.close()


async def test_a_scan_of_all_entries_takes_little_memory(store: PostgresStore, url: str) -> None:
    """As objects, thirty thousand entries are some twenty megabytes."""
    name = str(make_url(url).database)
    shared().run(
        "INSERT INTO ledger_entries SELECT 'wallet-alice', n, 'e' || n, 'grant', 'house:promotions',"
        " 'wallet:wallet-alice', 1, n, repeat('x', 100), now() FROM generate_series(2, 30000) n",
        name,
    )

    def count(snapshot: Snapshot) -> int:
        tracemalloc.start()
        entries = sum(1 for _ in snapshot.audit.entries())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4_000_000, peak
        return entries

    assert await store.read(count) == 30_001


async def test_a_scan_left_unfinished_harms_no_later_transaction(store: PostgresStore) -> None:
    left: list[Any] = []

    def query(snapshot: Snapshot) -> None:
        entries = snapshot.audit.entries()
        left.append(entries)
        next(entries)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await store.read(query)
    for entries in left:
        entries.close()
    assert await held(store) == 0


@pytest.mark.parametrize("savepoints", [True, False])
def test_statements_stay_prepared_after_a_rollback(url: str, savepoints: bool) -> None:
    connection = connect_for_store(postgres_database(load_driver()), make_url(url), Timeouts())
    transaction = SqlTransaction(connection)
    prepared: list[set[Any]] = []
    for _ in range(3):
        connection.begin(READ_WRITE, savepoints=savepoints)
        transaction.users.by_login("alice")
        if savepoints:
            with pytest.raises(InvariantViolation):
                transaction.conversations.add(conversation("without a user"))
        names = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%FROM users%'"
        prepared.append(set(run(connection, names)))
        connection.rollback()
    assert len(prepared[0]) == 1
    assert prepared == [prepared[0]] * 3
    connection.close()


async def test_two_equal_statements_may_be_the_first_of_a_connection(url: str) -> None:
    store = open_store(url)
    await store.write(add_person)
    await store.close()
    store = open_store(url)

    def add_two(tx: Transaction) -> None:
        for name in ("first", "second"):
            tx.conversations.add(conversation(name))

    await store.write(add_two)
    assert await store.read(lambda snapshot: snapshot.conversations.get(ConversationId("second")))
    await store.close()


@pytest.fixture
def plan(url: str) -> Iterator[Callable[..., str]]:
    """Returns how the server runs the store's statement for a query, given enough rows."""
    connection = connect_for_store(postgres_database(load_driver()), make_url(url), Timeouts())

    def explain(query: Callable[[SqlTransaction], Any]) -> str:
        query(SqlTransaction(connection))
        newest = "SELECT statement FROM pg_prepared_statements ORDER BY prepare_time DESC LIMIT 1"
        [(statement,)] = run(connection, newest)
        with psycopg.connect(url) as other:
            other.execute("SET enable_seqscan = off")
            steps = other.execute(b"EXPLAIN (GENERIC_PLAN) " + statement.encode()).fetchall()
        return "\n".join(row[0] for row in steps)

    yield explain
    connection.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (lambda tx: tx.interactions.history(ALICE, HistoryFilter(), after=None, limit=9), "ix_interactions_user_id"),
        (lambda tx: tx.interactions.of_conversation(TALK, after=None, limit=9), "ix_interactions_conversation_id"),
        (lambda tx: tx.interactions.turns(TALK, limit=9), "ix_interactions_conversation_id"),
        (lambda tx: tx.conversations.of_user(ALICE, after=None, limit=9), "ix_conversations_listed"),
        (lambda tx: tx.conversations.of_user(ALICE, pinned=True, after=None, limit=9), "ix_conversations_pinned"),
        (lambda tx: tx.ledger.refunds_of([HoldId("hold-first")]), "ix_ledger_entries_refund_of_hold"),
        (lambda tx: tx.holds.due(later(0), 9), "ix_holds_pending"),
        (lambda tx: tx.ledger.of_wallet(PURSE, limit=9), "pk_ledger_entries"),
        (lambda tx: tx.users.by_login("alice"), "uq_users_username_key"),
        (lambda tx: tx.users.get(UserId("alice")), "pk_users"),
    ],
    ids=["history", "conversation", "turns", "conversations", "pinned", "refunds", "due", "ledger", "login", "user"],
)
def test_lists_are_read_in_the_order_of_an_index(plan: Callable[..., str], query: Any, index: str) -> None:
    steps = plan(query)
    assert index in steps, steps
    assert "Sort" not in steps, steps
