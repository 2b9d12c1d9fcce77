"""Programs that are older or newer than the schema of their database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sqlite.driver import load_driver
from tests.kit.postgres import shared
from tests.kit.support import world
from tests.kit.waiting import eventually

Run = Callable[[str], None]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return shared().fresh() if request.param == "postgres" else made(sqlite_url(tmp_path / "c.sqlite3"))


def made(url: str) -> str:
    schema.upgrade(url)
    return url


def newer(url: str, oldest_program: str) -> None:
    """Let the database have the schema of a program that does not exist yet."""
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(
        url if is_sqlite else make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        **({"module": load_driver()} if is_sqlite else {}),
    )
    with engine.begin() as connection:
        connection.execute(text("UPDATE chatbill_version SET version_num = '9999'"))
        connection.execute(text(f"UPDATE compatibility SET oldest_program = '{oldest_program}'"))  # noqa: S608
        connection.execute(text("ALTER TABLE wallets ADD COLUMN invented TEXT"))


async def test_a_program_runs_on_a_newer_schema_that_allows_it(url: str) -> None:
    newer(url, schema.head())
    schema.check(url)
    schema.upgrade(url)
    assert schema.current(url) == "9999"
    store = open_store(url)
    here = world(store=store)
    await here.person()
    differences: list[object] = []
    await here.use_cases.audit.verify_ledger(differences.append)
    assert differences == []
    await store.close()
    assert "can run on it" in schema.advice(url)


def test_a_program_is_refused_by_a_newer_schema_that_needs_a_newer_one(url: str) -> None:
    newer(url, "9998")
    for step in (schema.check, schema.upgrade, lambda url: schema.downgrade(url, "-1")):
        with pytest.raises(schema.SchemaMismatch, match="install that one, or restore an older backup"):
            step(url)
    assert "install that one, or restore an older backup" in schema.advice(url)


def test_a_newer_schema_is_not_taken_back_by_an_older_program(url: str) -> None:
    newer(url, schema.head())
    with pytest.raises(schema.SchemaMismatch):
        schema.downgrade(url, "-1")


def test_an_older_schema_is_to_be_upgraded_and_the_same_needs_nothing(url: str) -> None:
    assert schema.advice(url) == ""
    schema.downgrade(url, "0021")
    assert schema.advice(url).endswith("run: chatbill db upgrade")
    with pytest.raises(schema.SchemaMismatch, match="Run `chatbill db upgrade`"):
        schema.check(url)


@pytest.mark.postgres
async def test_an_upgrade_gives_way_to_the_chat_while_a_long_read_uses_a_table(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = shared().fresh()
    schema.downgrade(url, "0021")
    caplog.set_level(logging.WARNING)
    with psycopg.connect(url) as reader, psycopg.connect(url, autocommit=True) as chat:
        reader.execute("SELECT count(*) FROM holds")
        upgrading = threading.Thread(target=schema.upgrade, args=(url,))
        upgrading.start()
        await eventually(lambda: any(record.message == "schema_in_use" for record in caplog.records), within_s=60)
        # It comes through within the pauses of the upgrade, although the read goes on.
        chat.execute("SET lock_timeout = '30s'")
        chat.execute("SELECT 1 FROM holds")
        assert schema.current(url) == "0021"
        reader.rollback()
        upgrading.join(60)
    assert schema.current(url) == schema.head()


@pytest.mark.postgres
async def test_an_upgrade_that_met_a_deadlock_takes_its_tables_in_the_order_of_the_chat(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = shared().empty()
    schema.upgrade(url, "0001")
    caplog.set_level(logging.WARNING)

    query = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = %s::regclass AND granted = %s"

    async def upgrade_has(table: str, *, granted: bool) -> None:
        await eventually(lambda: bool(observer.execute(query, (table, granted)).fetchall()), within_s=60)

    with psycopg.connect(url) as chat, psycopg.connect(url, autocommit=True) as observer:
        # The upgrade notices the deadlock, not the chat.
        chat.execute("SET deadlock_timeout = '10min'")
        chat.execute("SELECT id FROM wallets FOR UPDATE")
        upgrading = threading.Thread(target=schema.upgrade, args=(url,))
        upgrading.start()
        await upgrade_has("conversations", granted=True)
        chat.execute("UPDATE conversations SET title = ''")
        chat.rollback()
        chat.execute("SELECT id FROM wallets FOR UPDATE")
        await upgrade_has("wallets", granted=False)
        chat.execute("SET LOCAL lock_timeout = '1ms'")
        chat.execute("UPDATE conversations SET title = ''")
        chat.commit()
        upgrading.join(60)
    assert [record.message for record in caplog.records] == ["schema_in_use"]
    assert schema.current(url) == schema.head()
