"""A backup is one sound file of one moment, whoever writes meanwhile; a restore proves it before it replaces any."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from chatbill.adapters.persistence import SqliteStore, open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sqlite import backup
from chatbill.adapters.persistence.sqlite.backup import BackupRefused
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.audit.verify_ledger import Verdict, VerifyLedger
from chatbill.application.ports.store import Store, StoreUnavailable, Transaction
from chatbill.domain.audit.proof import Difference
from tests.kit.postgres import shared
from tests.kit.rows import PURSE, add_person, add_running, charge, later
from tests.kit.stores import fresh_database

POSTGRES = "postgresql+psycopg://alice:s3cret@db.example/books"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in which Alice has 100 credits."""
    made = fresh_database(tmp_path)
    asyncio.run(within(made, add_person))
    return made


async def within(path: Path, work: Any) -> None:
    store = SqliteStore(path)
    await store.write(work)
    await store.close()


async def posted(path: Path) -> int:
    store = SqliteStore(path)
    wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    await store.close()
    assert wallet is not None
    return wallet.posted


async def verified(path: Path) -> Verdict:
    store, found = SqliteStore(path), list[Difference]()
    verdict = await VerifyLedger(store=store, clock=lambda: later(30), sweep_allowance_s=0)(found.append)
    await store.close()
    assert found == []
    return verdict


def spend(name: str, tx: Transaction) -> None:
    add_running(tx, name)
    charge(tx, name)


def leftovers(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.endswith((".part", "-wal", "-shm", "-journal"))]


async def test_a_backup_under_load_is_of_one_moment_and_restores_to_books_that_agree(tmp_path: Path) -> None:
    path, copies = fresh_database(tmp_path), [tmp_path / f"copy-{number}" for number in range(5)]
    store = SqliteStore(path)
    await store.write(lambda tx: add_person(tx, credits_=100_000))
    stop, charged = asyncio.Event(), asyncio.Event()

    async def talk(talker: int) -> int:
        number = 0
        while not stop.is_set():
            await store.write(lambda tx: add_running(tx, f"{talker}-{number}"))  # noqa: B023 - awaited at once
            await store.write(lambda tx: charge(tx, f"{talker}-{number}"))  # noqa: B023
            charged.set()
            number += 1
        return number

    talking = [asyncio.create_task(talk(talker)) for talker in range(8)]
    await charged.wait()
    for copy in copies:
        await asyncio.sleep(0.1)
        made = await asyncio.to_thread(backup.backup, sqlite_url(path), copy)
        assert made == backup.Copy(copy.stat().st_size, doubts=())
    stop.set()
    said = sum(await asyncio.gather(*talking))
    await store.close()
    seen = []
    for copy in copies:
        assert copy.stat().st_mode & 0o777 == 0o600
        target = tmp_path / "elsewhere" / f"{copy.name}.sqlite3"
        tally = await asyncio.to_thread(backup.restore, sqlite_url(target), copy)
        assert (await verified(target)).tally == tally
        assert target.stat().st_mode & 0o777 == 0o600
        assert leftovers(target.parent) == []
        seen.append(tally.charges)
    assert 0 < seen[0] < seen[-1] <= said
    assert seen == sorted(seen)
    assert leftovers(tmp_path) == []


def test_a_file_that_exists_is_replaced_by_force_alone_and_the_database_by_nothing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_text("Dear diary")
    with pytest.raises(BackupRefused, match="--force"):
        backup.backup(sqlite_url(path), target)
    assert target.read_text() == "Dear diary"
    backup.backup(sqlite_url(path), target, force=True)
    for call in (backup.backup, backup.restore):
        with pytest.raises(BackupRefused):
            call(sqlite_url(path), path, force=True)
    assert asyncio.run(posted(path)) == 100


def test_a_backup_of_nothing_or_to_nowhere_is_refused_in_words(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="no database"):
        backup.backup(sqlite_url(tmp_path / "none.sqlite3"), tmp_path / "copy")
    with pytest.raises(StoreUnavailable):
        backup.backup(sqlite_url(path), path / "folder" / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_restore_replaces_a_database_by_force_alone_even_a_damaged_one(
    path: Path, tmp_path: Path, damaged: bool
) -> None:
    backup.backup(sqlite_url(path), tmp_path / "copy")
    asyncio.run(within(path, lambda tx: spend("later", tx)))
    assert asyncio.run(posted(path)) == 96
    if damaged:
        path.write_bytes(b"Dear diary, " * 1_000)
    with pytest.raises(BackupRefused, match="--force"):
        backup.restore(sqlite_url(path), tmp_path / "copy")
    tally = backup.restore(sqlite_url(path), tmp_path / "copy", force=True)
    assert (tally.wallets, tally.owned) == (1, 100)
    assert asyncio.run(posted(path)) == 100
    assert leftovers(tmp_path) == []


async def test_a_database_in_use_is_not_replaced(path: Path, tmp_path: Path) -> None:
    backup.backup(sqlite_url(path), tmp_path / "copy")
    store = SqliteStore(path)
    await store.write(lambda tx: spend("later", tx))
    with pytest.raises(BackupRefused, match="Stop it first"):
        await asyncio.to_thread(backup.restore, sqlite_url(path), tmp_path / "copy", force=True)
    await store.write(lambda tx: spend("latest", tx))
    await store.close()
    assert await posted(path) == 92
    await asyncio.to_thread(backup.restore, sqlite_url(path), tmp_path / "copy", force=True)
    assert await posted(path) == 100


def tampered(copy: Path, *statements: str) -> None:
    raw = load_driver().connect(copy)
    for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE wallets SET posted = posted + 7", r"is not consistent(.|\n)*wallet-alice"),
        (
            "UPDATE compatibility SET oldest_program = '9999'; UPDATE chatbill_version SET version_num = '9999'",
            "made by a newer chatbill",
        ),
        ("DROP TABLE chatbill_version", "no backup of chatbill"),
        ("DELETE FROM wallets", "refers to nothing"),
    ],
)
def test_a_copy_that_cannot_be_trusted_is_refused_and_the_database_stays(
    path: Path, tmp_path: Path, sql: str, words: str
) -> None:
    copy = tmp_path / "copy"
    backup.backup(sqlite_url(path), copy)
    tampered(copy, *sql.split("; "))
    asyncio.run(within(path, lambda tx: spend("later", tx)))
    with pytest.raises(StoreUnavailable, match=words):
        backup.restore(sqlite_url(path), copy, force=True)
    assert asyncio.run(posted(path)) == 96
    assert leftovers(tmp_path) == []


def test_a_copy_of_books_that_do_not_agree_is_kept_and_said_to_be_so(path: Path, tmp_path: Path) -> None:
    tampered(path, "UPDATE wallets SET posted = posted + 7")
    made = backup.backup(sqlite_url(path), tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == made.size
    assert any("wallet-alice" in doubt for doubt in made.doubts)


@pytest.mark.parametrize("content", [b"Dear diary, " * 1_000, b"", b"half"])
def test_what_is_no_backup_is_refused(path: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"no backup|not_a_database"):
        backup.restore(sqlite_url(path), tmp_path / "copy", force=True)
    with pytest.raises(BackupRefused, match="no file"):
        backup.restore(sqlite_url(path), tmp_path / "none", force=True)
    assert asyncio.run(posted(path)) == 100


def test_half_a_backup_is_refused(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    backup.backup(sqlite_url(path), copy)
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    with pytest.raises(StoreUnavailable, match=r"database_damaged|not_a_database"):
        backup.restore(sqlite_url(path), copy, force=True)
    assert asyncio.run(posted(path)) == 100


def test_an_older_copy_is_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    """For now there is one revision; the day there are more, this begins at the first with books in it."""
    backup.backup(sqlite_url(path), tmp_path / "copy")
    backup.restore(sqlite_url(path), tmp_path / "copy", force=True)
    schema.check(sqlite_url(path))


def test_the_tools_for_postgresql_are_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match=r"pg_dump .*'postgresql://alice@db.example/books'") as dump:
        backup.backup(POSTGRES, tmp_path / "copy")
    with pytest.raises(BackupRefused, match=r"pg_restore .*'postgresql://alice@db.example/books_restored'") as restore:
        backup.restore(POSTGRES, tmp_path / "copy")
    assert "s3cret" not in f"{dump.value}{restore.value}"


async def work_in(url: str, act: Callable[[Store], Awaitable[Any]]) -> Any:
    store = open_store(url)
    result = await act(store)
    await store.close()
    return result


@pytest.mark.postgres
def test_the_tools_for_postgresql_do_what_is_said_of_them(tmp_path: Path) -> None:
    url, copy = shared().fresh(), tmp_path / "copy"
    asyncio.run(work_in(url, lambda store: store.write(add_person)))
    shared().program("pg_dump", *said(url, "pg_dump", copy))
    asyncio.run(work_in(url, lambda store: store.write(lambda tx: spend("later", tx))))
    restored = restored_by_its_tools(url, copy)
    wallet = asyncio.run(work_in(restored, lambda store: store.read(lambda snapshot: snapshot.wallets.get(PURSE))))
    assert wallet.posted == 100
    schema.check(restored)
    assert schema.drift(restored) == []


@pytest.mark.postgres
@pytest.mark.parametrize("revision", ["0001", "0004"])
def test_a_dump_of_an_older_postgresql_database_comes_back_after_an_upgrade(tmp_path: Path, revision: str) -> None:
    url, copy = shared().empty(), tmp_path / "copy"
    schema.upgrade(url, revision)
    shared().program("pg_dump", *said(url, "pg_dump", copy))
    schema.upgrade(url)
    restored = restored_by_its_tools(url, copy)
    assert schema.current(restored) == revision
    schema.upgrade(restored)
    assert schema.drift(restored) == []


def restored_by_its_tools(url: str, copy: Path) -> str:
    """The address of the database that was made as an operator is told to make it."""
    shared().program("createdb", *said(url, "createdb", copy))
    shared().program("pg_restore", *said(url, "pg_restore", copy))
    address = make_url(url)
    return address.set(database=f"{address.database}_restored").render_as_string(hide_password=False)


@pytest.mark.parametrize("name", ["", "-wal", "-shm", "-journal"])
def test_a_part_of_the_database_is_no_place_for_its_copy(path: Path, name: str) -> None:
    part = path.with_name(f"{path.name}{name}")
    with pytest.raises(BackupRefused, match="Choose another file"):
        backup.backup(sqlite_url(path), part, force=True)
    assert asyncio.run(posted(path)) == 100


def test_what_is_no_file_is_not_replaced_by_a_copy(path: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BackupRefused, match="is no file"):
        backup.backup(sqlite_url(path), pipe, force=True)
    assert pipe.is_fifo()


def said(url: str, tool: str, copy: Path) -> list[str]:
    """The arguments that an operator is told to give."""
    with pytest.raises(BackupRefused) as refusal:
        (backup.backup if tool == "pg_dump" else backup.restore)(url, copy)
    (line,) = [line for line in str(refusal.value).splitlines() if line.strip().startswith(tool)]
    return [str(copy) if word == "FILE" else word.replace("FILE", str(copy)) for word in shlex.split(line)[1:]]
