"""Keep chatbill's tables in the database of an app: one transaction for both, and Alembic ignores our tables."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event

from chatbill.adapters.persistence.postgres.driver import case_folding, dialect_of, postgres_database
from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql.connection import Connection as StatementConnection
from chatbill.adapters.persistence.sql.connection import Database
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sql.statements import Statement
from chatbill.adapters.persistence.sqlite.driver import casefold, load_driver, sqlite_database
from chatbill.application.ports.store import Transaction
from chatbill.domain.shared.errors import ChatbillError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_AUTOCOMMIT = "The connection commits each statement by itself, so there is no transaction to share."
_FOLDING = "chatbill_case_folding"
"""Under this key a connection's `info` says how case is folded on it, once that is known."""


def include_object(*, prefix: str = "") -> Callable[[Any, str | None, str, bool, Any], bool]:
    """Return an `include_object` for an app's Alembic, whose autogenerate then ignores chatbill's tables.

    In the app's env.py: `context.configure(…, include_object=include_object(prefix="chatbill_"))`.
    """
    names = Prefix(prefix)

    def is_the_apps(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:  # noqa: FBT001 - Alembic's
        return not (kind == "table" and name is not None and names.owns(name))

    return is_the_apps


@cache
def sqlite_module() -> ModuleType:
    """Return the driver with the SQLite library that chatbill uses, for `create_engine(url, module=sqlite_module())`.

    It is that of the package pysqlite3, or Python's own. Two SQLite libraries in one process release each other's
    locks on a file: commits are lost, and the file may be damaged.
    """
    return load_driver()


def prepare_engine(engine: Engine) -> None:
    """Set up an app's engine for `transaction_on`. Call it once, before the first connection.

    On SQLite, references are checked, and each transaction takes the write lock when it begins: one that reads first
    and writes later would fail where another one has written meanwhile. PostgreSQL needs nothing of this. Raises
    `ValueError` for an engine on another SQLite library than chatbill's.
    """
    if engine.dialect.name == "sqlite":
        _require_one_library(engine.dialect.loaded_dbapi)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))


def _set_up_sqlite(raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # the driver begins no transactions by itself
    for setting in ("foreign_keys = ON", "recursive_triggers = ON"):
        raw.execute(f"PRAGMA {setting}")


@contextlib.contextmanager
def transaction_on(connection: Connection | Session, *, prefix: str = "") -> Iterator[Transaction]:
    """Yield chatbill's repositories within the transaction of an app's SQLAlchemy connection or ORM session.

    What is written is committed or rolled back by the app, with its own rows. An error that leaves the block undoes
    what was written in it and nothing else, and the app may go on with its transaction; after `StoreUnavailable` it
    must roll back. The object is of no use after the block. What waits in a session is flushed first.

    The connection is synchronous, of SQLite (by `sqlite_module`) or PostgreSQL (psycopg). On SQLite the engine is set
    up by `prepare_engine`, or checks foreign keys in another way; a transaction that has not begun yet begins with
    BEGIN IMMEDIATE. On PostgreSQL the rows of wallets that are charged are locked until the app commits, as by SELECT
    FOR UPDATE; the isolation level should be READ COMMITTED, and a deadlock or serialization failure is
    `StoreUnavailable`: roll back and try again. Raises `ValueError` for a connection that cannot be used.
    """
    if not isinstance(connection, Connection):
        connection.flush()
        connection = connection.connection()
    shared = _shared(connection, Prefix(prefix))
    shared.command("SAVEPOINT chatbill")
    try:
        yield SqlTransaction(shared)
        _release(shared)
    except BaseException:
        # The database may have given up the whole transaction.
        with contextlib.suppress(ChatbillError):
            shared.command("ROLLBACK TO chatbill")
            shared.command("RELEASE chatbill")
        raise


def _release(shared: StatementConnection) -> None:
    """Keep what the block has written, unless the database failed in it, even if that error was caught."""
    if shared.failure:
        raise shared.failure
    shared.command("RELEASE chatbill")


def _shared(connection: Connection, prefix: Prefix) -> StatementConnection:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise ValueError(_AUTOCOMMIT)
    if not connection.in_transaction():
        connection.begin()
    raw, driver = connection.connection.driver_connection, connection.dialect.loaded_dbapi
    match connection.dialect.driver:
        case "pysqlite":
            return _sqlite(connection, _TupleCursors(raw, None), driver, prefix)
        case "psycopg":
            return _postgres(connection, raw, driver, prefix)
        case other:
            raise ValueError(f"A transaction on {other} cannot be shared; use sqlite3 or psycopg, not asynchronous.")


def _sqlite(connection: Connection, raw: _TupleCursors, driver: Any, prefix: Prefix) -> StatementConnection:
    _require_one_library(driver)
    if raw.execute("PRAGMA foreign_keys").fetchone() != (1,):
        raise ValueError("Foreign keys are not checked on this connection; call prepare_engine(engine) once.")
    if _FOLDING not in connection.info:
        raw.raw.create_function("casefold", 1, casefold, deterministic=True)
        connection.info[_FOLDING] = "casefold({})"
    shared = StatementConnection(_sqlite_database(driver, prefix), raw)
    if not raw.raw.in_transaction:
        shared.command("BEGIN IMMEDIATE")
    return shared


def _postgres(connection: Connection, raw: Any, driver: Any, prefix: Prefix) -> StatementConnection:
    if raw.autocommit:
        raise ValueError(_AUTOCOMMIT)
    cursors = _TupleCursors(raw, importlib.import_module("psycopg.rows").tuple_row)
    folding = connection.info.get(_FOLDING)
    if folding is None:
        has_icu = cursors.execute("SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')").fetchone()[0]
        folding = connection.info[_FOLDING] = case_folding(raw.info.server_version, has_icu=has_icu)
    return _PostgresConnection(_postgres_database(driver, prefix, folding), cursors)


def _require_one_library(driver: Any) -> None:
    if driver.Connection is not sqlite_module().Connection:
        raise ValueError(
            "The engine uses another SQLite library than chatbill, and two in one process can damage a file. "
            "Make it with create_engine(url, module=sqlite_module())."
        )


class _TupleCursors:
    """A driver's connection whose cursors return tuples, even if the app has set another row type."""

    def __init__(self, raw: Any, row_factory: Any) -> None:
        self.raw = raw
        self._row_factory = row_factory

    def execute(self, sql: str, *parameters: Any) -> Any:
        cursor = self.raw.cursor()
        cursor.row_factory = self._row_factory
        return cursor.execute(sql, *parameters)


class _PostgresConnection(StatementConnection):
    """Runs each statement that writes in a savepoint, because PostgreSQL aborts a transaction after an error."""

    def change(self, statement: Statement, parameters: dict[str, Any]) -> int:
        self.command("SAVEPOINT statement")
        try:
            changed = super().change(statement, parameters)
        except ChatbillError:
            if self.failure is None:
                self.command("ROLLBACK TO statement")
            raise
        self.command("RELEASE statement")
        return changed


@lru_cache(maxsize=16)
def _sqlite_database(driver: ModuleType, prefix: Prefix) -> Database:
    return sqlite_database(driver, prefix)


@lru_cache(maxsize=16)
def _postgres_database(driver: ModuleType, prefix: Prefix, folding: str) -> Database:
    database = postgres_database(driver, prefix)
    database.use(dialect_of(folding))
    return database
