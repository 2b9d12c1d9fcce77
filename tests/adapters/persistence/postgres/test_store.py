"""What the PostgreSQL store adds to the contract: safe retries, a bound on every wait, errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from chatbill.adapters.persistence import PostgresStore, open_store
from chatbill.adapters.persistence.postgres.driver import Timeouts, connect_for_store, load_driver, postgres_database
from chatbill.adapters.persistence.postgres.worker import READ_WRITE
from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, StoreUnavailable, Transaction
from chatbill.domain.shared.errors import EmailTaken, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import ConversationId, InteractionId, UserId, WalletId
from tests.kit.postgres import shared, start, stop
from tests.kit.postgres_proxy import Proxy, line_to
from tests.kit.stores import (
    ALICE,
    PURSE,
    TALK,
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

pytestmark = pytest.mark.postgres
BOBS = WalletId("wallet-bob")


@pytest.fixture
def url() -> str:
    return shared().fresh()


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A store with short timeouts, in which Alice and Bob have 100 credits each."""
    timeouts = Timeouts(statement_timeout_s=2, lock_timeout_s=0.3, idle_in_transaction_timeout_s=1)
    opened = PostgresStore(make_url(url), writers=3, readers=2, queue_size=50, queue_timeout_s=0.5, timeouts=timeouts)
    await opened.write(add_person)
    await opened.write(lambda tx: add_person(tx, "bob"))
    yield opened
    await opened.close()


class Gate:
    """Work that waits until the test opens it."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: object) -> None:
        self.entered.set()
        self.open.wait(timeout=5)


def hold_one(tx: Transaction, wallet_id: WalletId = PURSE) -> int:
    wallet = tx.wallets.lock(wallet_id)
    tx.wallets.save(replace(wallet, held=wallet.held + 1))
    return wallet.held + 1


async def held(store: Any) -> int:
    wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    return int(wallet.held)


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


async def test_commits_are_durable_even_if_the_database_is_configured_otherwise(url: str) -> None:
    name = make_url(url).database
    shared().run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    connection = connect_for_store(postgres_database(load_driver()), make_url(url), Timeouts())
    assert connection.raw.execute("SHOW synchronous_commit").fetchone() == ("on",)
    connection.close()


@pytest.fixture
def line() -> Iterator[Proxy]:
    with line_to(shared()) as proxy:
        yield proxy


async def on_a_line(line: Proxy, url: str) -> PostgresStore:
    store = PostgresStore(make_url(line.url(url)), writers=1, readers=1)
    await store.write(add_person)
    return store


@pytest.mark.parametrize("word", ["BEGIN", "FOR NO KEY UPDATE", "hold-first"])
@pytest.mark.parametrize("heard", [True, False])
async def test_work_runs_again_after_a_connection_lost_before_the_commit(
    url: str, line: Proxy, word: str, heard: bool
) -> None:
    store = await on_a_line(line, url)
    line.cut(word, heard=heard)
    await store.write(add_running)
    assert line.cuts == 1
    assert await held(store) == 5
    await store.close()


@pytest.mark.parametrize("kept", [True, False])
async def test_a_connection_lost_at_the_commit_is_reported_and_all_or_nothing_is_kept(
    url: str, line: Proxy, kept: bool
) -> None:
    store = await on_a_line(line, url)
    line.cut("COMMIT\0", heard=kept)  # READ COMMITTED ends in another way
    with pytest.raises(StoreUnavailable, match="connection_lost"):
        await store.write(hold_one)
    assert line.cuts == 1
    deadline = time.monotonic() + 5
    while await held(store) != kept:  # the server may hear of it a moment later
        assert time.monotonic() < deadline
    assert await store.write(hold_one) == kept + 1
    await store.close()


async def test_callers_wait_a_bounded_time_for_a_stopped_server(url: str) -> None:
    timeouts = Timeouts(answer_within_s=3)
    store = PostgresStore(make_url(url), writers=1, readers=1, queue_timeout_s=0.4, timeouts=timeouts)
    await store.write(add_person)
    backend = await store.write(lambda tx: cast("Any", tx).wallets._connection.raw.info.backend_pid)
    os.kill(backend, signal.SIGSTOP)
    try:
        began, behind = asyncio.create_task(store.write(hold_one)), asyncio.create_task(store.write(hold_one))
        done, _ = await asyncio.wait({began, behind}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {behind}, "a job that has not begun is refused in its time"
        with pytest.raises(StoreUnavailable, match="waited too long for its turn"):
            await behind
        with pytest.raises(StoreUnavailable, match="connection_lost"):
            await asyncio.wait_for(began, 20)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert await store.write(hold_one) == 1
    await store.close()


async def test_a_worker_without_a_connection_leaves_the_jobs_to_the_others(url: str) -> None:
    name = make_url(url).database
    shared().run(f"CREATE ROLE few_{name} LOGIN CONNECTION LIMIT 3 IN ROLE postgres")
    few = make_url(url).set(username=f"few_{name}")
    store = PostgresStore(few, writers=8, readers=4)
    await store.write(add_person)
    await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    await asyncio.gather(*(store.write(hold_one) for _ in range(60)))
    assert await held(store) == 60
    await store.close()


async def test_a_database_that_refuses_is_not_called_unreachable(url: str) -> None:
    store = PostgresStore(make_url(url).set(database="none_of_that_name"), writers=1)
    with pytest.raises(StoreUnavailable, match="connection_refused"):
        await store.write(add_person)
    await store.close()


async def test_a_snapshot_survives_a_connection_that_was_lost(url: str, line: Proxy) -> None:
    store = await on_a_line(line, url)
    assert await held(store) == 0
    line.cut("BEGIN", heard=False)
    assert await held(store) == 0
    assert line.cuts == 1
    await store.close()


@pytest.mark.slow
async def test_the_store_reconnects_to_a_restarted_server(caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    from chatbill.adapters.persistence.sql import schema  # noqa: PLC0415

    schema.upgrade(server.url())
    store = open_store(server.url().replace("postgres:@", "postgres:s3cret@"))
    await store.write(add_person)
    await held(store)
    server.kill()
    with caplog.at_level(logging.DEBUG, "chatbill"):
        for attempt in (store.write(hold_one), held(store)):
            with pytest.raises(StoreUnavailable, match="server_unreachable") as caught:
                await asyncio.wait_for(attempt, 5)
            assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "s3cret" not in caplog.text
    server.restart()
    assert await store.write(hold_one) == 1
    assert await held(store) == 1
    await store.close()
    stop(server)


async def test_an_unreachable_server_is_reported_without_the_password() -> None:
    store = open_store("postgresql://alice:s3cret@127.0.0.1:1/chatbill")
    with pytest.raises(StoreUnavailable, match="server_unreachable") as caught:
        await store.write(hold_one)
    assert "s3cret" not in str(caught.value)
    await store.close()


@pytest.mark.parametrize(
    "address", ["postgresql://alice:s3@cret@host/x", "postgresql://alice@host:s3cret/x", "postgresql:s3cret"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(address: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        open_store(address)
    assert "cret" not in f"{caught.value}"


@pytest.mark.parametrize("call", ["open_store(URL)", "schema.upgrade(URL)"])
def test_a_missing_driver_is_reported_with_what_to_install(call: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from chatbill.adapters.persistence import open_store\n"
        "from chatbill.adapters.persistence.sql import schema\n"
        "from chatbill.application.ports.store import StoreUnavailable\n"
        "URL = 'postgresql://localhost/x'\n"
        f"try: {call}\n"
        "except StoreUnavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "PostgreSQL needs one more package: pip install 'chatbill[postgres]'", done.stderr


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
        prepared.append(set(connection.raw.execute(names, prepare=False).fetchall()))
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
        [(statement,)] = connection.raw.execute(newest, prepare=False)
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
        (lambda tx: tx.holds.due(later(0), 9), "ix_holds_pending"),
        (lambda tx: tx.ledger.of_wallet(PURSE, limit=9), "pk_ledger_entries"),
        (lambda tx: tx.users.by_login("alice"), "uq_users_username_key"),
        (lambda tx: tx.users.get(UserId("alice")), "pk_users"),
    ],
    ids=["history", "conversation", "turns", "conversations", "due", "ledger", "login", "user"],
)
def test_lists_are_read_in_the_order_of_an_index(plan: Callable[..., str], query: Any, index: str) -> None:
    steps = plan(query)
    assert index in steps, steps
    assert "Sort" not in steps, steps


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
