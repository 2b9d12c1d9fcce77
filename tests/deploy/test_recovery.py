"""The steps of docs/backups.md lead PostgreSQL back to a moment, with PostgreSQL's own tools."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.sql import schema
from chatbill.application.audit.verify_ledger import VerifyLedger
from tests.kit.postgres import Server, start, stop
from tests.kit.rows import add_person, add_running, charge, later
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
PAGE = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")


@pytest.fixture
def server() -> Iterator[Server]:
    made = start(durable=True)
    yield made
    stop(made)


def step(first: str, **replaced: str) -> str:
    """Return the block of the page that begins with this line, with other folders and another moment."""
    (block,) = (part for part in PAGE.split("```") if part.strip().startswith(first))
    for word, other in replaced.items():
        block = block.replace({"archive": "/archive/", "at": "2026-11-27 14:29:59+00"}[word], other)
    return block


async def buy(url: str, name: str) -> None:
    store = open_store(url)
    await store.write(lambda tx: (add_running(tx, name), charge(tx, name)))
    await store.close()


async def charges(url: str) -> int:
    store, found = open_store(url), list[str]()
    verdict = await VerifyLedger(store=store, clock=lambda: later(30), sweep_allowance_s=0)(
        lambda difference: found.append(str(difference))
    )
    await store.close()
    assert found == []
    return verdict.tally.charges


def test_a_server_goes_back_to_a_moment_between_two_charges(server: Server, tmp_path: Path) -> None:
    archive, base, data = server.folder / "archive", tmp_path / "base", server.folder / "data"
    archive.mkdir()
    owned_like(data, archive)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(step("wal_level", archive=f"{archive}/"))
    ended(server)
    server.restart()
    url = server.url()
    schema.upgrade(url)
    asyncio.run(prepared(url))
    name, *options = step("pg_basebackup").split()
    options = [each if not each.startswith("--pgdata") else f"--pgdata={base}" for each in options]
    server.program(name, *options, f"--dbname={url}")
    asyncio.run(buy(url, "before"))
    ((moment,),) = server.run("SELECT clock_timestamp()::text")
    asyncio.run(buy(url, "after"))
    server.run("SELECT pg_switch_wal()")
    ended(server)
    shutil.copytree(base, kept := data.with_name("base"))
    owned_like(data, kept, *kept.rglob("*"))
    shutil.rmtree(data)
    kept.rename(data)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(step("restore_command", archive=f"{archive}/", at=str(moment)))
    (data / "recovery.signal").touch()
    owned_like(data, data / "recovery.signal")
    server.restart()
    asyncio.run(promoted(server))
    assert asyncio.run(charges(url)) == 1


def ended(server: Server) -> None:
    """Stop the server as its operator would. `pg_ctl` does not run as root, under which tests may run."""
    process = psutil.Process(server.handle.get_pid())
    process.send_signal(signal.SIGINT)
    process.wait(60)


def owned_like(model: Path, *paths: Path) -> None:
    for path in paths:
        os.chown(path, model.stat().st_uid, model.stat().st_gid)


async def promoted(server: Server) -> None:
    await eventually(lambda: server.run("SELECT pg_is_in_recovery()") == [(False,)], within_s=60, every_s=0.1)


async def prepared(url: str) -> None:
    store = open_store(url)
    await store.write(add_person)
    await store.close()
