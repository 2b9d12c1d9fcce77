"""What the SQLite store adds to the contract: one commit for many, a bound on every wait, helpful errors."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.adapters.persistence import SqliteStore, open_store, sqlite_url
from chatbill.adapters.persistence.sqlite import driver as sqlite_driver
from chatbill.adapters.persistence.sqlite.opened_file import OpenedFile
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import StoreUnavailable
from chatbill.application.shared.write_check import WriteCheck
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import HoldId
from chatbill.testing import CountingIds
from tests.kit.held import held, hold_one
from tests.kit.rows import ALICE, PURSE, TALK, add_person, add_running, later, new_wallet
from tests.kit.stores import fresh_database
from tests.kit.waiting import Gate


def connect(path: Path, **options: Any) -> Any:
    """Connects by the store's own SQLite: two libraries in one process would release each other's locks."""
    return sqlite_driver.load_driver().connect(path, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return fresh_database(tmp_path)


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """A store with short timeouts, in which Alice has 100 credits."""
    opened = SqliteStore(path, busy_timeout_s=0.1, queue_timeout_s=0.5, queue_size=50, readers=2)
    await opened.write(add_person)
    yield opened
    await opened.close()


async def test_an_answer_comes_after_the_commit_that_it_rests_on(store: SqliteStore, path: Path) -> None:
    """Work that is done waits for the end of its batch, here held up by the work behind it."""
    before, behind = Gate(), Gate()
    first = asyncio.create_task(store.write(before))
    await asyncio.to_thread(before.entered.wait)
    answer = asyncio.create_task(store.write(hold_one))
    last = asyncio.create_task(store.write(behind))
    await asyncio.sleep(0)
    before.open.set()
    await asyncio.to_thread(behind.entered.wait)
    early, _ = await asyncio.wait([answer], timeout=0.1)
    behind.open.set()
    assert not early, "answered while its transaction was open"
    await asyncio.gather(first, last)
    other = connect(path)
    assert other.execute("SELECT held FROM wallets").fetchone() == (await answer,)
    other.close()


async def test_writes_that_wait_together_share_a_commit(store: SqliteStore, path: Path) -> None:
    gate = Gate()
    first = asyncio.create_task(store.write(gate))
    await asyncio.to_thread(gate.entered.wait)
    waiting = [asyncio.create_task(store.write(hold_one)) for _ in range(40)]
    await asyncio.sleep(0)
    other = connect(path)
    before = other.execute("PRAGMA data_version").fetchone()
    gate.open.set()
    await first
    counts = await asyncio.gather(*waiting)
    assert counts == list(range(1, 41))
    assert other.execute("PRAGMA data_version").fetchone() != before
    other.close()
    frames = (path.parent / f"{path.name}-wal").stat().st_size // 4_096
    assert frames < 20, "forty commits of their own would have written a page each"


async def test_a_caller_cancelled_while_waiting_is_skipped(store: SqliteStore) -> None:
    gate = Gate()
    first = asyncio.create_task(store.write(gate))
    await asyncio.to_thread(gate.entered.wait)
    second = asyncio.create_task(store.write(hold_one))
    await asyncio.sleep(0)
    second.cancel()
    gate.open.set()
    await first
    assert await held(store) == 0


async def test_a_job_that_waits_too_long_is_refused(store: SqliteStore) -> None:
    gate = Gate()
    first = asyncio.create_task(store.write(gate))
    await asyncio.to_thread(gate.entered.wait)
    second = asyncio.create_task(store.write(hold_one))
    await asyncio.sleep(0.6)
    gate.open.set()
    await first
    with pytest.raises(StoreUnavailable, match="waited too long"):
        await second
    assert await held(store) == 0


@pytest.mark.parametrize("kind", ["write", "read"])
async def test_no_more_may_wait_than_the_bound(store: SqliteStore, kind: str) -> None:
    gates = [Gate() for _ in range(2)]
    call: Callable[[Any], Any] = getattr(store, kind)
    busy = [asyncio.create_task(call(gate)) for gate in gates[: 1 if kind == "write" else 2]]
    for gate in gates[: len(busy)]:
        await asyncio.to_thread(gate.entered.wait)
    waiting = [asyncio.create_task(call(lambda _: None)) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="50 requests wait"):
        await call(lambda _: None)
    for gate in gates:
        gate.open.set()
    await asyncio.gather(*busy, *waiting)


async def test_readers_do_not_wait_for_the_writer_nor_it_for_them(store: SqliteStore) -> None:
    writing, reading = Gate(), Gate()
    writer = asyncio.create_task(store.write(writing))
    reader = asyncio.create_task(store.read(reading))
    await asyncio.to_thread(writing.entered.wait)
    await asyncio.to_thread(reading.entered.wait)
    assert await asyncio.wait_for(held(store), timeout=1) == 0
    writing.open.set()
    await writer
    assert await asyncio.wait_for(store.write(hold_one), timeout=1) == 1
    reading.open.set()
    await reader


async def test_a_lock_of_another_process_is_waited_for_and_then_reported(store: SqliteStore, path: Path) -> None:
    other = connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database_locked"):
        await store.write(hold_one)
    assert await held(store) == 0
    other.execute("COMMIT")
    other.close()
    assert await store.write(hold_one) == 1


async def test_two_stores_on_one_file_take_turns(store: SqliteStore, path: Path) -> None:
    other = SqliteStore(path)
    await asyncio.gather(*(each.write(hold_one) for _ in range(20) for each in (store, other)))
    assert await held(store) == await held(other) == 40
    await other.close()


async def test_a_full_disk_is_reported_and_the_store_recovers(path: Path) -> None:
    store = SqliteStore(path)
    await store.write(add_person)

    def fill_the_disk(tx: Any) -> None:
        tx.wallets._connection.raw.execute("PRAGMA max_page_count = 1")

    await store.write(fill_the_disk)

    async def try_to_talk(number: int) -> None:
        await store.write(lambda tx: add_running(tx, f"n{number}", prompt="x" * 100_000))

    results = await asyncio.gather(*map(try_to_talk, range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert "disk_full" in str(results[0])
    assert isinstance(results[0], StoreUnavailable)
    assert results[0].__cause__ is not None
    # The connection was given up, and with it the small disk.
    await try_to_talk(6)
    assert await held(store) == 5
    await store.close()


async def test_a_small_write_notices_a_disk_without_room_and_leaves_nothing(store: SqliteStore, path: Path) -> None:
    check = WriteCheck(store, CountingIds(), every_s=0)
    assert await check() is None

    def fill_the_disk(tx: Any) -> None:
        raw = tx.wallets._connection.raw
        raw.execute("CREATE TABLE filler (x)")
        # What was given back before is room too.
        [(free,)] = raw.execute("PRAGMA freelist_count").fetchall()
        raw.execute("INSERT INTO filler VALUES (zeroblob(?))", [free * 4_096])
        raw.execute("PRAGMA max_page_count = 1")

    await store.write(fill_the_disk)
    assert await check() == Description("disk_full")
    # The connection was given up, and with it the small disk.
    assert await check() is None
    assert connect(path).execute("SELECT count(*) FROM write_checks").fetchone() == (0,)


def replace_file(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def is_there(path: Path) -> bool:
    return path.exists()


CHANGES_OF_FILE: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "replaced": replace_file,
    "renamed": lambda path: path.rename(path.with_name("other")),
    "log removed": lambda path: log_of(path).unlink(),
    "log replaced": lambda path: replace_file(log_of(path)),
}


@pytest.mark.parametrize("how", CHANGES_OF_FILE)
async def test_a_small_write_notices_that_the_file_is_another_one(store: SqliteStore, path: Path, how: str) -> None:
    check = WriteCheck(store, CountingIds(), every_s=0)
    assert await check() is None
    CHANGES_OF_FILE[how](path)
    # A connection that is opened while the log is gone fails to read, before it comes to writing.
    expected = [Description("database_replaced"), *[Description("disk_failing")] * (how == "log removed")]
    for _ in range(5):
        assert await check() in expected
    # None of the threads has made a new one, which would look as if everything had been lost.
    assert is_there(path) is (how not in {"removed", "renamed"})


async def test_work_that_hides_a_database_failure_fails_all_the_same(store: SqliteStore) -> None:
    def work(tx: Any) -> str:
        hold_one(tx)
        tx.wallets._connection.raw.execute("ROLLBACK")
        return "all is well"

    with pytest.raises(StoreUnavailable):
        await store.write(work)
    assert await held(store) == 0
    assert await store.write(hold_one) == 1


async def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "diary.sqlite3"
    path.write_bytes(b"Dear diary, " * 1_000)
    store = SqliteStore(path)
    for attempt in (store.write(hold_one), store.read(lambda snapshot: snapshot.wallets.get(PURSE))):
        with pytest.raises(StoreUnavailable, match="not_a_database") as caught:
            await attempt
        assert caught.value.__cause__ is not None
    await store.close()


async def test_a_database_without_tables_says_what_to_run(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "empty.sqlite3")
    with pytest.raises(StoreUnavailable, match="no_tables"):
        await store.write(hold_one)
    assert (tmp_path / "new" / "empty.sqlite3").stat().st_mode & 0o777 == 0o600
    await store.close()


async def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "chatbill.sqlite3")
    with pytest.raises(StoreUnavailable, match="file"):
        await store.write(hold_one)
    await store.close()


async def test_a_snapshot_cannot_write(store: SqliteStore) -> None:
    def query(snapshot: Any) -> None:
        snapshot.wallets.save(new_wallet(posted=1, held=0, version=9))

    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.read(query)
    assert await held(store) == 0


async def test_a_wallet_is_not_saved_over_entries_it_has_not_seen(store: SqliteStore) -> None:
    with pytest.raises(InvariantViolation, match="entries after"):
        await store.write(lambda tx: tx.wallets.save(new_wallet(posted=100, held=1, version=0)))


async def test_a_value_of_the_wrong_type_is_a_bug_and_not_a_failure_of_the_database(store: SqliteStore) -> None:
    with pytest.raises(InvariantViolation, match="does not understand"):
        await store.write(lambda tx: tx.wallets.lock(object()))  # type: ignore[arg-type]
    assert await store.write(hold_one) == 1


async def test_closing_finishes_the_accepted_jobs(store: SqliteStore, path: Path) -> None:
    waiting = [asyncio.create_task(store.write(hold_one)) for _ in range(30)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waiting) == list(range(1, 31))
    assert not (path.parent / f"{path.name}-wal").exists(), "the last to leave tidies up"


async def test_a_store_is_opened_by_its_address(path: Path) -> None:
    store = open_store(sqlite_url(path))
    await store.write(add_person)
    await store.close()


def test_every_commit_is_synced(path: Path) -> None:
    database = sqlite_driver.sqlite_database(sqlite_driver.load_driver())
    raw = sqlite_driver.connect_to_write(database, OpenedFile(path), busy_timeout_s=1).raw
    values = {name: raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    raw.close()
    assert values == {"journal_mode": "wal", "synchronous": 2}


def test_an_sqlite_with_the_known_bug_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    driver = sqlite_driver.load_driver()
    sound = driver.sqlite_version_info >= sqlite_driver.SOUND_SINCE
    assert ("sqlite_has_a_known_bug" in caplog.text) is not sound
    with caplog.at_level(logging.WARNING):
        assert sqlite_driver.newest_of([sqlite3]) is sqlite3
    assert ("sqlite_has_a_known_bug" in caplog.text) is (sqlite3.sqlite_version_info < sqlite_driver.SOUND_SINCE)


@pytest.fixture
def plan(path: Path) -> Iterator[Callable[..., str]]:
    """Returns how SQLite runs the store's statement for a query."""
    database = sqlite_driver.sqlite_database(sqlite_driver.load_driver())
    connection = sqlite_driver.connect_to_read(database, OpenedFile(path), busy_timeout_s=1)
    from chatbill.adapters.persistence.repositories import SqlTransaction  # noqa: PLC0415

    ran: list[str] = []
    connection.raw.set_trace_callback(ran.append)

    def explain(query: Callable[[SqlTransaction], Any]) -> str:
        ran.clear()
        query(SqlTransaction(connection))
        sql = ran[0]
        return "\n".join(row[3] for row in connection.raw.execute(f"EXPLAIN QUERY PLAN {sql}"))

    yield explain
    connection.raw.close()


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
        (lambda tx: tx.ledger.of_wallet(PURSE, limit=9), "PRIMARY KEY"),
        (lambda tx: list(tx.audit.wallets()), "SCAN wallets"),
        (lambda tx: list(tx.audit.entries()), "SCAN ledger_entries"),
        (lambda tx: tx.users.by_login("alice"), "uq_users_username_key|INDEX"),
        (lambda tx: list(tx.reports.ended(later(0), later(60))), "ix_interactions_finished_at"),
        (lambda tx: tx.outbox.after("0.5", 9), "ix_outbox_transaction_id_position"),
    ],
    ids=[
        *(
            "history",
            "conversation",
            "turns",
            "conversations",
            "pinned",
            "refunds",
            "due",
            "ledger",
            "wallets",
            "entries",
            "login",
        ),
        *("ended", "events"),
    ],
)
def test_lists_are_read_in_the_order_of_an_index(plan: Callable[..., str], query: Any, index: str) -> None:
    """Then a page costs the same among ten interactions and among a million."""
    steps = plan(query)
    assert any(name in steps for name in index.split("|")), steps
    assert "TEMP B-TREE" not in steps


async def test_a_late_reader_is_refused_too(store: SqliteStore) -> None:
    gates = [Gate(), Gate()]
    busy = [asyncio.create_task(store.read(gate)) for gate in gates]
    for gate in gates:
        await asyncio.to_thread(gate.entered.wait)
    late = asyncio.create_task(held(store))
    started = time.monotonic()
    await asyncio.sleep(0.6)
    for gate in gates:
        gate.open.set()
    with pytest.raises(StoreUnavailable, match="waited too long"):
        await late
    assert time.monotonic() - started < 5
    await asyncio.gather(*busy)
