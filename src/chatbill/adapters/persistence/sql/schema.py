"""Brings the schema of a database up to date, takes it back, and says which revision it is at.

The migrations are in the package when it is installed, and at the top of a checkout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.postgres.driver import connect as connect_to_server
from chatbill.adapters.persistence.postgres.driver import load_driver as load_postgres_driver
from chatbill.adapters.persistence.postgres.errors import translated as told_by_postgres
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, VERSION_TABLE, Prefix
from chatbill.adapters.persistence.sql.revisions import SchemaMismatch, prepare_version_table, revision_of
from chatbill.adapters.persistence.sqlite.driver import load_driver, make_file
from chatbill.application.ports.store import StoreUnavailable

__all__ = ["SchemaMismatch", "check", "current", "downgrade", "drift", "head", "reading", "upgrade"]

LOCK_TIMEOUT_S = 60.0
"""How long a process waits for another one that upgrades the same database."""

_ADVISORY_LOCK = 0x63686174  # any number, the same in every version of chatbill


def upgrade(url: str, revision: str = "head", *, prefix: str = "") -> None:
    """Bring the database to this revision, and make the tables where there are none.

    All steps are one transaction: they are kept together or not at all. Of two processes that upgrade at once, the
    second waits for the first. Tables of an app stay as they are. Raises `SchemaMismatch` for a database that is newer
    than this program or has other tables under the names that are needed, `ValueError` for a bad prefix, and
    `StoreUnavailable`.
    """
    names = Prefix(prefix)
    with _connected(url, names, to_write=True) as connection:
        _refuse_newer(connection, names)
        prepare_version_table(connection, names, _scripts())
        command.upgrade(_config(connection, names), revision)
        if revision == "head":
            _renumber_events(connection)
        _check_references(connection)


def downgrade(url: str, revision: str, *, prefix: str = "") -> None:
    """Take the database back to an earlier revision ("base" is before the first). What that one lacks is lost."""
    names = Prefix(prefix)
    with _connected(url, names, to_write=True) as connection:
        _refuse_newer(connection, names)
        prepare_version_table(connection, names, _scripts())
        command.downgrade(_config(connection, names), revision)
        _check_references(connection)


def current(url: str, *, prefix: str = "") -> str | None:
    """Return the revision of the database; None where there is no schema, or no database, yet."""
    names = Prefix(prefix)
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        return None
    with _connected(url, names, to_write=False) as connection:
        return revision_of(connection, names)


def head() -> str:
    """Return the newest revision that this program knows."""
    newest = _scripts().get_current_head()
    if newest is None:
        raise SchemaMismatch("This installation has no migrations.")
    return newest


def check(url: str, *, prefix: str = "") -> None:
    """Raise `SchemaMismatch` unless the database has the schema that this program needs."""
    names = Prefix(prefix)
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        raise SchemaMismatch(
            f"There is no database at {sqlite_path(address)}. Is that the right place? "
            "Run `chatbill db upgrade` if it is."
        )
    with _connected(url, names, to_write=False) as connection:
        found = _refuse_newer(connection, names)
    if found != head():
        raise SchemaMismatch(
            f"The database is at revision {found or 'none'} and this program needs {head()}. Run `chatbill db upgrade`."
        )


@contextmanager
def reading(url: str, prefix: str = "") -> Iterator[Connection]:
    """Yield a connection that reads in one transaction. Raises `StoreUnavailable`."""
    with _connected(url, Prefix(prefix), to_write=False) as connection:
        yield connection


def drift(url: str, *, prefix: str = "") -> list[Any]:
    """Return what Alembic would change to make chatbill's tables equal to `tables.metadata`; nothing, if all is well.

    Other tables in the database are not looked at.
    """
    names = Prefix(prefix)
    with _connected(url, names, to_write=False) as connection:
        options = {
            "compare_type": True,
            "version_table": names.of(VERSION_TABLE),
            "include_name": lambda name, kind, _parents: kind != "table" or names.owns(name),
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), names.metadata()))


def _renumber_events(connection: Connection) -> None:
    """Let readers see the events of a dump that comes from another server, whose transactions had higher numbers."""
    if connection.dialect.name == "sqlite":
        return
    # Roll-ups then read all events again, which changes nothing that they have counted.
    connection.exec_driver_sql(
        "DELETE FROM report_notes WHERE kind = 'state'"
        " AND CAST(split_part(CAST(body AS json) ->> 0, '.', 1) AS bigint)"
        " >= CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    )
    foreign = "transaction_id >= CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
    if connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM outbox WHERE {foreign})").scalar_one():  # noqa: S608
        connection.exec_driver_sql("ALTER TABLE outbox DISABLE TRIGGER outbox_stays_as_it_is")
        connection.exec_driver_sql("UPDATE outbox SET transaction_id = 0")
        connection.exec_driver_sql("DELETE FROM report_notes WHERE kind = 'state'")
        connection.exec_driver_sql("ALTER TABLE outbox ENABLE TRIGGER outbox_stays_as_it_is")


def _refuse_newer(connection: Connection, prefix: Prefix) -> str | None:
    """Return the database's revision. Raises `SchemaMismatch` where this program does not know it."""
    found = revision_of(connection, prefix)
    if found is not None and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaMismatch(
            f"The database is at revision {found}, which this program does not know (it knows up to {head()}). "
            "It was made by a newer chatbill: install that one, or restore an older backup."
        )
    return found


def _config(connection: Connection | None = None, prefix: Prefix = NO_PREFIX) -> Config:
    config = Config(
        attributes={"connection": connection, "prefix": prefix.text, "version_table": prefix.of(VERSION_TABLE)}
    )
    # The interpolation of configuration files would trip over a percent sign.
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _folder() -> Path:
    package = Path(__file__).parents[3]
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaMismatch("This installation has no migrations. Install chatbill again.")


def _check_references(connection: Connection) -> None:
    """Check all references on SQLite, which does not do so while the migrations rebuild tables."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise SchemaMismatch(f"The migration would leave {len(broken)} rows that refer to nothing: {broken[:5]}")


@contextmanager
def _connected(url: str, prefix: Prefix, *, to_write: bool) -> Iterator[Connection]:
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
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        yield connection


def _require_unicode(connection: Connection) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise SchemaMismatch(
            f"The database keeps text as {encoding} and cannot hold every language. "
            "Make one with: createdb --template=template0 --encoding=UTF8 NAME"
        )
