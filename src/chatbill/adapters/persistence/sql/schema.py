"""The schema's history: bring a database up to date, or say where it stands.

The migrations lie beside the package when it is installed, and at the top of a checkout.
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

from chatbill.adapters.persistence.opening import is_postgres, parsed, sqlite_path
from chatbill.adapters.persistence.postgres.driver import connect as connect_to_server
from chatbill.adapters.persistence.postgres.driver import load_driver as load_postgres_driver
from chatbill.adapters.persistence.postgres.errors import translated as told_by_postgres
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver, make_file
from chatbill.application.ports.store import StoreUnavailable

LOCK_TIMEOUT_S = 60.0
"""How long one process waits for another that upgrades the same database."""

_ADVISORY_LOCK = 0x63686174  # any number will do, as long as every chatbill takes the same


class SchemaMismatch(StoreUnavailable):
    """The database has not the schema that this program needs. The words say what to do."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to this revision, and make it where there is none.

    All steps are one transaction: they are kept together or not at all, and of two processes that begin at once, the
    second waits for the first. Raises `SchemaMismatch` for a database that is newer than this program, and
    `StoreUnavailable`.
    """
    with _connected(url, to_write=True) as connection:
        _refuse_newer(connection)
        command.upgrade(_config(connection), revision)
        _check_references(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to an earlier revision ("base" is before the first). What that one lacks is lost."""
    with _connected(url, to_write=True) as connection:
        _refuse_newer(connection)
        command.downgrade(_config(connection), revision)
        _check_references(connection)


def current(url: str) -> str | None:
    """The revision of the database; None where there is no schema, or no database, yet."""
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        return None
    with _connected(url, to_write=False) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision that this program knows."""
    newest = _scripts().get_current_head()
    if newest is None:
        raise SchemaMismatch("This installation has no migrations.")
    return newest


def check(url: str) -> None:
    """Raise `SchemaMismatch` unless the database has the schema that this program needs."""
    address = parsed(url)
    if address.get_backend_name() == "sqlite" and not sqlite_path(address).exists():
        raise SchemaMismatch(
            f"There is no database at {sqlite_path(address)}. Is that the right place? "
            "Run `chatbill db upgrade` if it is."
        )
    with _connected(url, to_write=False) as connection:
        _refuse_newer(connection)
        found = MigrationContext.configure(connection).get_current_revision()
    if found != head():
        raise SchemaMismatch(
            f"The database is at revision {found or 'none'} and this program needs {head()}. Run `chatbill db upgrade`."
        )


def drift(url: str) -> list[Any]:
    """What Alembic would change to make the database equal to `tables.metadata`; nothing, if all is well."""
    with _connected(url, to_write=False) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _refuse_newer(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaMismatch(
            f"The database is at revision {found}, which this program does not know (it knows up to {head()}). "
            "It was made by a newer chatbill: install that one, or restore an older backup."
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
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
    """On SQLite, references are not checked while tables are rebuilt, so it is done at the end."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise SchemaMismatch(f"The migration would leave {len(broken)} rows that refer to nothing: {broken[:5]}")


@contextmanager
def _connected(url: str, *, to_write: bool) -> Iterator[Connection]:
    """A connection in a transaction that is committed at the end; alone at work where it is to write."""
    address = parsed(url)
    try:
        opened = _server(address, to_write=to_write) if is_postgres(address) else _sqlite(address, to_write=to_write)
        with opened as connection:
            yield connection
    except DBAPIError as error:
        raise _told(error, address) from error
    except OSError as error:
        raise unavailable(error) from error


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
        # Looking makes no file: what is not there looks like an empty database.
        address = URL.create("sqlite")
    engine = create_engine(
        address,
        module=load_driver(),
        poolclass=NullPool,
        # The driver leaves transactions alone; references are checked at the end.
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
    """Switch the file to write-ahead logging for good. SQLite does not wait by itself where two try at once."""
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
