"""Backups of a whole database are made while it is in use, and come back on either kind of database."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from chatbill.adapters.backups.archive import Archive
from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sqlite.backup import BackupRefused
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.ports.backups import BackupFailed, LastBackup
from chatbill.application.ports.store import Transaction
from chatbill.backups import (
    FRESH_S,
    DatabaseBackups,
    ScheduledBackups,
    archive_of,
    make_database_backups,
    make_scheduled_backups,
)
from chatbill.settings import Settings, SettingsError
from tests.kit.postgres import Server, shared
from tests.kit.rows import add_person, add_running, charge
from tests.kit.stores import fresh_database
from tests.kit.waiting import eventually


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """PostgreSQL, with its programs first in PATH."""
    found = shared()
    monkeypatch.setenv("PATH", f"{found.handle.bin_path}{os.pathsep}{os.environ['PATH']}")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which Alice has paid for one reply."""
    if request.param == "sqlite":
        found = sqlite_url(fresh_database(tmp_path))
    else:
        found = request.getfixturevalue("server").fresh()
    within(found, bought)
    return found


def backups(url: str, folder: Path, **chosen: Any) -> DatabaseBackups:
    return make_database_backups(settings(folder, **chosen), url, now)


def settings(folder: Path, **chosen: Any) -> Settings:
    return Settings(data_dir=folder / "data", **{"backup_to": str(folder / "place"), **chosen})


def within(url: str, work: Callable[[Transaction], Any]) -> None:
    async def write() -> None:
        store = open_store(url)
        await store.write(work)
        await store.close()

    asyncio.run(write())


def bought(tx: Transaction) -> None:
    add_person(tx)
    add_running(tx)
    charge(tx)


def charges(url: str) -> int:
    async def verify() -> int:
        store = open_store(url)
        verdict = await VerifyLedger(store=store, clock=now, sweep_allowance_s=0)(print)
        await store.close()
        assert verdict.agrees
        return verdict.tally.charges

    return asyncio.run(verify())


def empty(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if url.startswith("sqlite"):
        return sqlite_url(tmp_path / "elsewhere" / "new.sqlite3")
    return str(request.getfixturevalue("server").empty())


def test_a_backup_is_tried_and_restored(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = backups(url, tmp_path)
    manifest = made.make()
    assert manifest.rows["users"] == 1
    assert manifest.doubts == ()
    within(url, lambda tx: (add_running(tx, "later"), charge(tx, "later")))
    report = made.drill()
    assert (report.name, report.wrong) == (manifest.name, ())
    target = empty(url, request, tmp_path)
    assert backups(target, tmp_path).restore(manifest.name, force=False) == manifest
    assert (charges(target), charges(url)) == (1, 2)
    assert [each.name for each in (tmp_path / "data" / "backup-work").iterdir()] == ["lock"]


def test_a_database_that_is_there_is_not_overwritten(url: str, tmp_path: Path) -> None:
    made = backups(url, tmp_path)
    name = made.make().name
    with pytest.raises((BackupFailed, BackupRefused), match="already"):
        made.restore(name, force=False)
    assert charges(url) == 1


def test_a_drill_names_what_is_missing(url: str, tmp_path: Path) -> None:
    made = backups(url, tmp_path)
    name = made.make().name
    manifest = tmp_path / "place" / f"{name}.json"
    manifest.write_text(manifest.read_text().replace('"users": 1', '"users": 2').replace('"head": "', '"head": "f'))
    found = made.drill(name).wrong
    assert found[0] == "the table users has 1 rows and not 2"
    assert found[1].startswith("the last entry is ")
    assert len(found) == 2


def test_a_drill_leaves_no_database_behind(server: Server, tmp_path: Path) -> None:
    made = backups(server.fresh(), tmp_path)
    made.make()
    (stored,) = (tmp_path / "place").glob("*.dump")
    made.drill()
    content = stored.read_bytes()
    manifest = made.archive.manifest(made.archive.names()[0])
    stored.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupFailed, match="checksum"):
        made.drill()
    spoilt = tmp_path / "place" / f"{manifest.name}.json"
    spoilt.write_text(spoilt.read_text().replace(manifest.sha256, hashlib.sha256(stored.read_bytes()).hexdigest()))
    with pytest.raises(BackupFailed, match="pg_restore failed"):
        made.drill()
    assert server.run("SELECT datname FROM pg_database WHERE datname LIKE 'chatbill_drill%'") == []


def test_a_copy_of_another_kind_of_database_is_refused(server: Server, tmp_path: Path) -> None:
    name = backups(sqlite_url(fresh_database(tmp_path)), tmp_path).make().name
    with pytest.raises(BackupFailed, match="another kind of database"):
        backups(server.empty(), tmp_path).restore(name, force=True)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (None, "pg_dump is missing. Install"),
        ("pg_dump: error: aborting because of server version mismatch\n  server version: 18.4; pg_dump", "client-18"),
        ("pg_dump: error: the disk is full", "pg_dump failed: .*the disk is full"),
    ],
)
def test_programs_that_are_missing_too_old_or_failing_are_told(
    program: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = shared().fresh()
    (tmp_path / "bin").mkdir()
    if program:
        (tmp_path / "bin" / "pg_dump").write_text(f"#!/bin/sh\necho '{program}' >&2; exit 1\n")
        (tmp_path / "bin" / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(BackupFailed, match=message):
        backups(url, tmp_path).make()
    assert backups(url, tmp_path).archive.names() == []


def test_the_password_of_the_database_is_in_no_list_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = make_url(shared().fresh()).set(username="postgres", password="s3cret@")
    (tmp_path / "pg_dump").write_text(f'#!/bin/sh\necho "$PGPASSWORD $@" > {tmp_path}/seen\nexit 1\n')
    (tmp_path / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed):
        backups(address.render_as_string(hide_password=False), tmp_path).make()
    password, _, arguments = (tmp_path / "seen").read_text().partition(" ")
    assert password == "s3cret@"
    assert "postgres@" in arguments


def test_a_place_must_be_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CHATBILL_BACKUP_TO must be set"):
        archive_of(settings(tmp_path, backup_to=None))
    assert make_scheduled_backups(settings(tmp_path, backup_to=None), "") is None
    assert make_scheduled_backups(settings(tmp_path, backup_every_hours=0), "") is None


async def test_a_service_makes_backups_in_a_process_of_their_own(tmp_path: Path) -> None:
    chosen = settings(tmp_path, backup_keep=2)
    url = sqlite_url(fresh_database(tmp_path))
    made = make_scheduled_backups(chosen, url)
    assert made is not None
    assert made.newest() == LastBackup(None)
    before = datetime.now(UTC).replace(microsecond=0)
    await made.make()
    newest = made.newest()
    assert newest is not None
    assert newest.made_at is not None
    assert before <= newest.made_at <= datetime.now(UTC)
    missing = make_scheduled_backups(chosen, sqlite_url(tmp_path / "nothing.sqlite3"))
    assert missing is not None
    with pytest.raises(BackupFailed, match="There is no database"):
        await missing.make()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Path]:
    """A pg_dump that writes half a dump and does not end; its process is in the file that is returned."""
    (tmp_path / "bin").mkdir()
    script = '#!/bin/sh\nfor each; do case $each in --file=*) echo half > "${each#--file=}";; esac; done\n'
    script += f"echo $$ > {tmp_path}/pid; exec sleep 300\n"
    (tmp_path / "bin" / "pg_dump").write_text(script)
    (tmp_path / "bin" / "pg_dump").chmod(0o700)
    yield tmp_path / "pid"
    if (tmp_path / "pid").exists() and is_alive(tmp_path / "pid"):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def is_alive(pid: Path) -> bool:
    try:
        state = Path(f"/proc/{int(pid.read_text())}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


async def test_a_service_that_stops_ends_its_backup_and_the_programs_of_it(
    stuck: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    made = make_scheduled_backups(settings(tmp_path), shared().fresh())
    assert made is not None
    making = asyncio.create_task(made.make())
    await eventually(lambda: stuck.exists() and bool(stuck.read_text()), within_s=60)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await eventually(lambda: not is_alive(stuck), within_s=30)
    assert made.newest() == LastBackup(None)


async def test_a_service_whose_settings_are_in_files_makes_backups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(fresh_database(tmp_path))
    (tmp_path / "url").write_text(url)
    monkeypatch.setenv("CHATBILL_DATABASE_URL_FILE", str(tmp_path / "url"))
    made = make_scheduled_backups(settings(tmp_path), url)
    assert made is not None
    await made.make()
    newest = made.newest()
    assert newest
    assert newest.made_at


async def test_a_copy_whose_ledger_is_not_consistent_is_kept_once_and_removes_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = fresh_database(tmp_path)
    await asyncio.to_thread(within, sqlite_url(path), bought)
    with closing(load_driver().connect(path)) as raw, raw:
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        raw.execute("UPDATE wallets SET posted = posted + 7")
    chosen = settings(tmp_path, backup_keep=1, backup_keep_days=0)
    made = make_scheduled_backups(chosen, sqlite_url(path))
    assert made is not None
    for _ in range(2):
        await made.make()
    archive = archive_of(chosen)
    assert [bool(archive.manifest(name).doubts) for name in archive.names()] == [True, True]
    assert "backup_not_consistent" in caplog.text


def test_a_place_that_does_not_answer_leaves_what_was_known(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "chatbill-20261127T120000Z-abc.json").write_text("")
    (place / "chatbill-20261127T120000Z-abc.dump").write_text("")
    made = ScheduledBackups(archive=lambda: archive_of(settings(tmp_path)), environment={})
    known = LastBackup(datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert made.newest() == known
    shutil.rmtree(place)
    place.write_text("no folder")
    assert made.newest() == known
    made._asked_at = -FRESH_S
    assert made.newest() == known
    assert ScheduledBackups(archive=made.archive, environment={}).newest() is None


async def test_a_backup_that_is_killed_is_none_and_does_not_hinder_the_next(
    stuck: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, url = settings(tmp_path), server.fresh()
    scheduled = make_scheduled_backups(chosen, url)
    assert scheduled is not None
    variables = {**os.environ, **scheduled.environment, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen([sys.executable, "-P", "-m", "chatbill", "backup", "make"], env=variables)  # noqa: ASYNC220 - it is killed
    await eventually(lambda: stuck.exists() and bool(stuck.read_text()), within_s=60)
    process.kill()
    process.wait()
    archive: Archive = archive_of(chosen)
    assert archive.names() == []
    assert len(list((tmp_path / "data" / "backup-work").glob("made-*"))) == 1
    made = await asyncio.to_thread(make_database_backups(chosen, url, now).make)
    assert archive.names() == [made.name]
    assert list((tmp_path / "data" / "backup-work").glob("made-*")) == []
