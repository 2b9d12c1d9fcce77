"""Tests leave neither databases nor servers behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from chatbill.adapters.persistence import open_store
from tests.kit.clearing import Undo, cleared_after
from tests.kit.postgres import shared
from tests.kit.rows import add_person, add_running, charge
from tests.kit.waiting import eventually

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[1]
STARTS_A_SERVER = """
from tests.kit.postgres import start

server = start()
print(server.folder, server.handle.get_pid(), flush=True)
input()
"""


def test_a_database_is_dropped_when_the_test_that_asked_for_it_is_over() -> None:
    undos: list[Undo] = []
    with cleared_after(undos.append):
        name = name_of(shared().fresh())
    assert exists(name)
    undos[0]()
    assert not exists(name)


async def test_a_database_that_is_used_again_has_no_rows(tmp_path: Path) -> None:
    undos: list[Undo] = []
    with cleared_after(undos.append):
        url = shared().cleared()
        store = open_store(url)
        await store.write(add_person)
        await store.write(add_running)
        await store.write(charge)
    undos[0]()
    assert shared().cleared() == url
    name = name_of(url)
    tables = [row[0] for row in shared().run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name)]
    assert len(tables) > 10
    full = [table for table in tables if shared().run(f"TABLE {table} LIMIT 1", name)]
    assert full == [table for table in tables if table.endswith(("version", "audit_trail_counts"))]
    assert shared().run("SELECT id, records FROM audit_trail_counts", name) == [("all", 0)]
    assert shared().run("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL", name) == []


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def exists(name: str) -> bool:
    return bool(shared().run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))  # noqa: S608 - the test's own name


async def test_a_server_of_a_killed_run_ends_and_its_folder_is_deleted() -> None:
    run = subprocess.Popen(  # noqa: ASYNC220 - nothing else happens meanwhile
        [sys.executable, "-c", STARTS_A_SERVER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout
        folder, pid = run.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        run.kill()
    await eventually(lambda: not Path(folder).exists() and not psutil.pid_exists(int(pid)))
