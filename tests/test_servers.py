"""Tests leave neither databases nor servers behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.kit.postgres import dropped_after, shared
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
    drops: list[Callable[[], None]] = []
    with dropped_after(drops.append):
        name = shared().fresh().partition("?")[0].rpartition("/")[2]
    assert exists(name)
    drops[0]()
    assert not exists(name)


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
