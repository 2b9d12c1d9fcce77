"""Opens connections on which the schema is read or changed, in one transaction and behind a lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.postgres.driver import connect as connect_to_server
from chatbill.adapters.persistence.postgres.driver import load_driver as load_postgres_driver
from chatbill.adapters.persistence.postgres.errors import translated as told_by_postgres
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sql.revisions import SchemaMismatch
from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver, make_file
from chatbill.application.ports.store import StoreUnavailable

LOCK_TIMEOUT_S = 60.0
"""How long a process waits for another one that upgrades the same database."""
TABLE_TIMEOUT_S = 2.0
"""How long an upgrade waits for a table on PostgreSQL. All others that want the table then wait behind the upgrade."""

_LOCK_NOT_AVAILABLE = "55P03"
_DEADLOCK = "40P01"
_ADVISORY_LOCK = 0x63686174  # any number, the same in every version of chatbill


def is_table_in_use(error: StoreUnavailable) -> bool:
    """Return whether a change of the schema failed because another transaction uses a table."""
    return _sqlstate(error) == _LOCK_NOT_AVAILABLE or is_deadlock(error)


def is_deadlock(error: StoreUnavailable) -> bool:
    """Return whether another transaction used one table and waited for a second one, which the change had locked."""
    return _sqlstate(error) == _DEADLOCK


def lock_tables(connection: Connection, prefix: Prefix) -> None:
    """Lock all tables before the first change, on PostgreSQL.

    Nearly every transaction that writes begins with its wallet, so new ones wait there before they have other locks.
    """
    there = set(inspect(connection).get_table_names())
    ordered = sorted((table.name for table in metadata.sorted_tables), key=lambda name: name != "wallets")
    # The connection puts in the prefix.
    if names := [name for name in ordered if prefix.of(name) in there]:
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")


def _sqlstate(error: StoreUnavailable) -> str | None:
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)


@contextmanager
def connected(url: str, prefix: Prefix, *, to_write: bool) -> Iterator[Connection]:
    """Yield a connection in a transaction that is committed at the end; to write, it has the database's write lock."""
    address = parsed(url)
    try:
        opened = _server(address, to_write=to_write) if is_postgres(address) else _sqlite(address, to_write=to_write)
        with opened as connection:
            if to_write and prefix.text:
                _prefix_statements(connection, prefix)
            yield connection
    except DBAPIError as error:
        raise _told(error, address) from error
    except OSError as error:
        raise unavailable(error) from error


def _prefix_statements(connection: Connection, prefix: Prefix) -> None:
    """Let every statement on this connection have the prefix. The migrations are written without one."""

    def rewritten(
        _connection: Connection,
        _cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        _many: bool,  # noqa: FBT001 - SQLAlchemy's
    ) -> tuple[str, Any]:
        return prefix.applied(statement), parameters

    event.listen(connection, "before_cursor_execute", rewritten, retval=True)


def _told(error: DBAPIError, address: URL) -> StoreUnavailable:
    cause = error.orig if isinstance(error.orig, Exception) else error
    if not is_postgres(address):
        return unavailable(cause)
    told = told_by_postgres(cause, load_postgres_driver())
    return told if isinstance(told, StoreUnavailable) else StoreUnavailable(f"The database failed: {told}")


@contextmanager
def _sqlite(address: URL, *, to_write: bool) -> Iterator[Connection]:
    path = sqlite_path(address)
    if to_write:
        make_file(path)
    elif not path.exists():
        # A connection to a file would make it, so an empty database in memory is read instead.
        address = URL.create("sqlite")
    engine = create_engine(
        address,
        module=load_driver(),
        poolclass=NullPool,
        # So that the driver begins no transactions by itself.
        connect_args={"isolation_level": None, "timeout": LOCK_TIMEOUT_S},
    )
    event.listen(
        engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE" if to_write else "BEGIN")
    )
    if to_write:
        _enter_wal(engine.raw_connection)
    with engine.begin() as connection:
        yield connection


def _enter_wal(connect: Any) -> None:
    """Switch the file to write-ahead logging for good. SQLite does not wait where two processes do so at once."""
    failures: type[Exception] = load_driver().DatabaseError
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        connection = connect()
        try:
            connection.driver_connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except failures as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise unavailable(error) from error
        else:
            return
        finally:
            connection.close()
        time.sleep(0.05)


@contextmanager
def _server(address: URL, *, to_write: bool) -> Iterator[Connection]:
    driver = load_postgres_driver()

    def connect() -> Any:
        raw = connect_to_server(address, driver)
        raw.autocommit = False
        return raw

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.begin() as connection:
        if to_write:
            _require_unicode(connection)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S:g}s'")
            _take_turn(connection)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TABLE_TIMEOUT_S:g}s'")
        yield connection


def _take_turn(connection: Connection) -> None:
    """Wait for another process that changes the schema."""
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise StoreUnavailable(
            f"Another process has been changing the schema for {LOCK_TIMEOUT_S:g} s. Wait for it, and start again."
        ) from error.orig


def _require_unicode(connection: Connection) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise SchemaMismatch(
            f"The database keeps text as {encoding} and cannot hold every language. "
            "Make one with: createdb --template=template0 --encoding=UTF8 NAME"
        )
