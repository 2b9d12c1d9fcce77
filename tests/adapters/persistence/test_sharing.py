"""An app and chatbill share a database: one commit for rows of both, and each migrates its own tables."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence import open_store, prepare_engine, sqlite_module, sqlite_url, transaction_on
from chatbill.adapters.persistence.sql import schema
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.store import StoreUnavailable, Transaction
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import EmailTaken, InsufficientCredits, InvariantViolation
from chatbill.domain.shared.ids import EntryId
from tests.adapters.persistence.apps import PREFIX, App, Base, Customer, Picture, app_engine
from tests.kit.postgres import shared
from tests.kit.rows import PURSE, add_person, add_running, charge, later, new_wallet, user


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    url = shared().fresh(PREFIX) if request.param == "postgres" else sqlite_url(tmp_path / "app.sqlite3")
    schema.upgrade(url, prefix=PREFIX)
    engine = app_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Customer(name="alice"))
        with transaction_on(session, prefix=PREFIX) as tx:
            add_person(tx)
    yield App(url, engine)
    engine.dispose()


def sell(tx: Transaction, name: str) -> None:
    """Charge Alice 4 credits for a picture."""
    add_running(tx, name)
    charge(tx, name)


def fail_after_a_sale(session: Session, error: Exception) -> None:
    with transaction_on(session, prefix=PREFIX) as tx:
        sell(tx, "one-more")
        add_running(tx, "unfinished")
        raise error


def break_a_rule_after_a_sale(session: Session) -> None:
    with transaction_on(session, prefix=PREFIX) as tx:
        sell(tx, "one")
        tx.wallets.save(new_wallet(posted=7, version=1))


@contextmanager
def by_session(engine: Engine) -> Iterator[tuple[Session, Callable[[], None]]]:
    with Session(engine) as session:
        yield session, session.commit


@contextmanager
def by_connection(engine: Engine) -> Iterator[tuple[Connection, Callable[[], None]]]:
    with engine.connect() as connection:
        yield connection, connection.commit


Opened = Callable[[Engine], Any]
BOTH_WAYS = pytest.mark.parametrize("opened", [by_session, by_connection])


@BOTH_WAYS
@pytest.mark.parametrize("first", ["app", "chatbill"])
async def test_rows_of_both_are_committed_together(app: App, opened: Opened, first: str) -> None:
    with opened(app.engine) as (where, commit):
        if first == "app":
            where.execute(insert(Picture), {"id": "one", "owner": "alice"})
        with transaction_on(where, prefix=PREFIX) as tx:
            sell(tx, "one")
        if first == "chatbill":
            where.execute(insert(Picture), {"id": "one", "owner": "alice"})
        commit()
    assert (app.pictures, await app.balance()) == (["one"], 96)


@BOTH_WAYS
@pytest.mark.parametrize("first", ["app", "chatbill"])
async def test_rows_of_both_are_rolled_back_together(app: App, opened: Opened, first: str) -> None:
    with opened(app.engine) as (where, _):
        if first == "app":
            where.execute(insert(Picture), {"id": "one", "owner": "alice"})
        with transaction_on(where, prefix=PREFIX) as tx:
            sell(tx, "one")
        if first == "chatbill":
            where.execute(insert(Picture), {"id": "one", "owner": "alice"})
        where.rollback()
    assert (app.pictures, await app.balance()) == ([], 100)


async def test_what_waits_in_a_session_is_flushed_before(app: App) -> None:
    with Session(app.engine) as session:
        session.add(Picture(id="one", owner="nobody"))
        with pytest.raises(Exception, match=r"(?i)foreign key"), transaction_on(session, prefix=PREFIX) as tx:
            sell(tx, "one")
    assert (app.pictures, await app.balance()) == ([], 100)


@pytest.mark.parametrize("error", [InsufficientCredits(required=500, available=96), KeyError("a bug of the app's")])
async def test_an_error_undoes_the_block_and_nothing_else(app: App, error: Exception) -> None:
    with Session(app.engine) as session, session.begin():
        session.add(Picture(id="one", owner="alice"))
        with transaction_on(session, prefix=PREFIX) as tx:
            sell(tx, "one")
        with pytest.raises(type(error)):
            fail_after_a_sale(session, error)
        session.add(Picture(id="free", owner="alice"))
    assert (app.pictures, await app.balance()) == (["free", "one"], 96)


async def test_a_rule_of_the_database_that_is_broken_undoes_the_block_and_nothing_else(app: App) -> None:
    with Session(app.engine) as session, session.begin():
        session.add(Picture(id="one", owner="alice"))
        with pytest.raises(InvariantViolation):
            break_a_rule_after_a_sale(session)
        with transaction_on(session, prefix=PREFIX) as tx:
            sell(tx, "one")
    assert (app.pictures, await app.balance()) == (["one"], 96)


async def test_work_may_go_on_in_the_block_after_an_error_that_it_expects(app: App) -> None:
    with Session(app.engine) as session, session.begin():
        with transaction_on(session, prefix=PREFIX) as tx:
            sell(tx, "one")
            with pytest.raises(EmailTaken):
                tx.users.add(user("bob", email="alice@example.org", wallet_id=PURSE))
            sell(tx, "two")
        session.add(Picture(id="both", owner="alice"))
    assert (app.pictures, await app.balance()) == (["both"], 92)


async def test_blocks_within_a_block_are_undone_alone(app: App) -> None:
    with Session(app.engine) as session, session.begin(), transaction_on(session, prefix=PREFIX) as tx:
        sell(tx, "one")
        with suppress(KeyError), transaction_on(session, prefix=PREFIX) as inner:
            sell(inner, "two")
            raise KeyError
        sell(tx, "three")
    assert await app.balance() == 92


CRASH = """
import os, sys
from tests.adapters.persistence.test_sharing import *
engine = app_engine(sys.argv[1])
with Session(engine) as session:
    session.add(Picture(id="one", owner="alice"))
    with transaction_on(session, prefix=PREFIX) as tx:
        sell(tx, "one")
    if sys.argv[2] == "late":
        session.commit()
    os._exit(7)
"""


@pytest.mark.parametrize(("when", "left"), [("early", ([], 100)), ("late", (["one"], 96))])
async def test_a_crash_leaves_rows_of_both_or_of_neither(app: App, when: str, left: tuple[list[str], int]) -> None:
    command = [sys.executable, "-c", CRASH, app.url, when]
    crashed = await asyncio.to_thread(subprocess.run, command, cwd=Path(__file__).parents[3], check=False, timeout=100)
    assert crashed.returncode == 7
    assert (app.pictures, await app.balance()) == left


async def test_threads_and_a_store_charge_one_wallet_at_the_same_time(app: App) -> None:
    start = threading.Barrier(2)

    def serve(worker: int) -> None:
        start.wait()
        for number in range(10):
            name = f"{worker}-{number}"
            with Session(app.engine) as session:
                session.add(Picture(id=name, owner="alice"))
                with transaction_on(session, prefix=PREFIX) as tx:
                    sell(tx, name)
                session.rollback() if number % 2 else session.commit()

    store = open_store(app.url, prefix=PREFIX)
    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(serve, worker) for worker in range(2)]
        for number in range(5):
            await store.write(lambda tx, number=number: sell(tx, f"store-{number}"))  # type: ignore[misc]
        for worker in workers:
            worker.result()
    await store.close()
    assert app.pictures == [f"{worker}-{number}" for worker in range(2) for number in range(0, 10, 2)]
    assert await app.balance() == 100 - 4 * (10 + 5)


async def test_an_app_may_have_rows_of_its_driver_in_another_form(app: App) -> None:
    def give_names(raw: Any, _record: Any) -> None:
        import sqlite3  # noqa: PLC0415 - the driver of this test alone

        from psycopg.rows import dict_row  # noqa: PLC0415

        raw.row_factory = sqlite3.Row if app.engine.dialect.name == "sqlite" else dict_row

    event.listen(app.engine, "connect", give_names)
    app.engine.dispose()
    with app.engine.connect() as connection:
        with transaction_on(connection, prefix=PREFIX) as tx:
            sell(tx, "one")
        connection.commit()
    event.remove(app.engine, "connect", give_names)
    app.engine.dispose()
    assert await app.balance() == 96


def sell_on_a_database_that_fails(session: Session) -> None:
    """Begin a sale, catch the error of a database that cannot write, and go on as if nothing had happened."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    with transaction_on(session, prefix=PREFIX) as tx:
        raw: Any = session.connection().connection.driver_connection
        add_running(tx, "first")
        raw.execute("PRAGMA query_only = ON" if is_sqlite else "SET LOCAL transaction_read_only = on")
        with suppress(StoreUnavailable):
            add_running(tx, "second")


async def test_a_failure_of_the_database_undoes_the_block_even_where_it_is_caught(app: App) -> None:
    with Session(app.engine) as session:
        with pytest.raises(StoreUnavailable):
            sell_on_a_database_that_fails(session)
        session.rollback()
    app.engine.dispose()
    assert await app.balance() == 100


def test_a_connection_that_cannot_be_used_is_refused_in_words(app: App) -> None:
    with app.engine.connect() as connection, pytest.raises(ValueError, match="as in chatbill_"):
        transaction_on(connection, prefix="!").__enter__()
    by_itself = app.engine.execution_options(isolation_level="AUTOCOMMIT")
    with by_itself.connect() as connection, pytest.raises(ValueError, match="no transaction to share"):
        transaction_on(connection, prefix=PREFIX).__enter__()


@pytest.mark.parametrize(
    ("module", "words"), [("chatbill's", r"prepare_engine\(engine\)"), ("another", "module=sqlite_module")]
)
def test_an_engine_on_sqlite_that_would_lose_rows_is_refused(tmp_path: Path, module: str, words: str) -> None:
    url = sqlite_url(tmp_path / "app.sqlite3")
    engine = create_engine(url, module=sqlite_module(), poolclass=NullPool)
    if module == "another":
        # Another library than chatbill's in any environment: a module that is like it and has its own connections.
        other = type("Other", (sqlite_module().Connection,), {})
        engine.dialect.dbapi = SimpleNamespace(**{**vars(sqlite_module()), "Connection": other})  # type: ignore[assignment]
        with pytest.raises(ValueError, match=words):
            prepare_engine(engine)
    with engine.connect() as connection, pytest.raises(ValueError, match=words):
        transaction_on(connection, prefix=PREFIX).__enter__()


async def test_a_grant_needs_no_more_than_the_app_s_transaction(app: App) -> None:
    """Without `prepare_engine`, where the app checks foreign keys itself and lets the driver begin transactions."""
    is_sqlite = app.engine.dialect.name == "sqlite"
    options: dict[str, Any] = {"module": sqlite_module()} if is_sqlite else {}
    engine = create_engine(app.engine.url, poolclass=NullPool, **options)
    if is_sqlite:
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys = ON"))
    with engine.connect() as connection:
        with transaction_on(connection, prefix=PREFIX) as tx:
            wallet = tx.wallets.lock(PURSE)
            cause = Cause(description=Description.of("gift"))
            keep_posting(tx, wallet.grant(5, entry_id=EntryId("gift"), at=later(5), cause=cause))
        assert await app.balance() == 100
        connection.commit()
    assert await app.balance() == 105
