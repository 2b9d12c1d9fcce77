"""Copies a database to a file and back, with what the copy holds: SQLite by itself, PostgreSQL by its own programs."""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, inspect

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_url
from chatbill.adapters.persistence.postgres.driver import connect, load_driver
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sql.revisions import revision_of
from chatbill.adapters.persistence.sqlite.backup import backup, restore
from chatbill.application.ports.backups import BackupFailed, Contents

SQLITE: Final = "copy.sqlite3.gz"
POSTGRES: Final = "copy.dump"
COPY_TIMEOUT_S: Final = 6 * 3_600
_GZIP_LEVEL: Final = 1
_SHOWN_CHARS: Final = 500
_OLD_TOOLS: Final = (
    "{name} is older than the server. Install the programs of its version (Debian: postgresql-client-{major}), or put "
    "their folder first in PATH. ({words})"
)


def copy_database(url: str, folder: Path, *, prefix: str = "") -> tuple[Path, Contents]:
    """Write the database, as it is at one moment, to a file in the folder. The database stays in use meanwhile.

    Raises `BackupFailed` and `StoreUnavailable`.
    """
    address = parsed(url)
    if is_postgres(address):
        return _dump(address, folder / POSTGRES, Prefix(prefix))
    plain, packed = folder / "copy.sqlite3", folder / SQLITE
    made = backup(url, plain, prefix=prefix)
    with schema.reading(sqlite_url(plain), prefix) as connection:
        contents = _contents(connection, Prefix(prefix), doubts=made.doubts)
    with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=_GZIP_LEVEL) as target:
        shutil.copyfileobj(source, target, 2**20)
    plain.unlink()
    return packed, contents


def restore_database(url: str, copy: Path, *, prefix: str = "", force: bool = False) -> None:
    """Write a copy of `copy_database` into the database, and bring its schema up to date.

    A database of PostgreSQL must be there and have no tables of chatbill. A file of SQLite is replaced with `force`.
    Raises `BackupFailed` and `StoreUnavailable`.
    """
    address = parsed(url)
    if is_postgres(address) != copy.name.endswith(".dump"):
        raise BackupFailed(f"{copy.name} is of another kind of database. Set CHATBILL_DATABASE_URL to one of its kind.")
    if not is_postgres(address):
        plain = copy.with_name("plain.sqlite3")
        with gzip.open(copy, "rb") as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
        restore(url, plain, prefix=prefix, force=force)
        return
    if schema.current(url, prefix=prefix) is not None:
        raise BackupFailed(
            "The database has tables of chatbill already. Make a new one (createdb --template=template0 "
            "--encoding=UTF8 NAME), let CHATBILL_DATABASE_URL name it, and restore into that."
        )
    options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _run("pg_restore", address, *options, f"--dbname={_plain(address)}", str(copy))
    schema.upgrade(url, prefix=prefix)


def contents_of(url: str, *, prefix: str = "") -> Contents:
    """Return what a database holds now."""
    with schema.reading(url, prefix) as connection:
        return _contents(connection, Prefix(prefix))


@contextmanager
def database_for_drill(url: str, folder: Path) -> Iterator[str]:
    """Yield the address of a new, empty database beside this one, and remove it at the end.

    For SQLite it is a file in the folder. The user of PostgreSQL needs the right to create databases.
    """
    address = parsed(url)
    if not is_postgres(address):
        yield sqlite_url(folder / "drill.sqlite3")
        return
    driver: Any = load_driver()
    name = f"chatbill_drill_{secrets.token_hex(6)}"
    try:
        with connect(address, driver) as raw:
            raw.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    except driver.Error as error:
        raise BackupFailed(
            f"A database for the drill cannot be made ({error}). Give the user the right: ALTER ROLE … CREATEDB"
        ) from error
    try:
        yield address.set(database=name).render_as_string(hide_password=False)
    finally:
        with connect(address, driver) as raw:
            raw.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _dump(address: URL, target: Path, prefix: Prefix) -> tuple[Path, Contents]:
    """Dump and count the same snapshot."""
    with schema.reading(address.render_as_string(hide_password=False), prefix.text) as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The transaction waits for the whole dump.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        contents = _contents(connection, prefix)
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}")
        _run("pg_dump", address, *options, f"--dbname={_plain(address)}")
    return target, contents


def _contents(connection: Connection, prefix: Prefix, *, doubts: tuple[str, ...] = ()) -> Contents:
    there = set(inspect(connection).get_table_names())
    tables = sorted(each.name for each in prefix.metadata().tables.values() if each.name in there)
    entries = prefix.of("ledger_entries")
    if entries not in there:
        raise BackupFailed(
            "The database has no tables of chatbill yet. Run `chatbill db upgrade`, and start the service."
        )
    rows = {name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one() for name in tables}  # noqa: S608
    head = connection.exec_driver_sql(f'SELECT max(CAST(id AS text)) FROM "{entries}"').scalar_one()  # noqa: S608
    return Contents(
        database=connection.dialect.name,
        revision=revision_of(connection, prefix) or "",
        rows=rows,
        head=head,
        doubts=doubts,
    )


def _plain(address: URL) -> str:
    """Return the address without its password, which is not for the list of processes."""
    return address._replace(drivername="postgresql", password=None).render_as_string()


def _run(name: str, address: URL, *arguments: str) -> None:
    """Run a program of PostgreSQL. Raises `BackupFailed` if it is missing, fails, or takes longer than six hours."""
    program = shutil.which(name)
    if program is None:
        raise BackupFailed(f"{name} is missing. Install PostgreSQL's programs (Debian: postgresql-client).")
    secret = {"PGPASSWORD": str(address.password)} if address.password else {}
    environment = {**os.environ, **secret, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - the program was found in PATH, and arguments are not read by a shell
            [program, *arguments], env=environment, capture_output=True, text=True, timeout=COPY_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupFailed(f"{name} did not end well: {error}") from error
    if done.returncode:
        words = " ".join(done.stderr.split())[:_SHOWN_CHARS]
        if "server version mismatch" in words:
            major = words.partition("server version: ")[2].partition(".")[0]
            raise BackupFailed(_OLD_TOOLS.format(name=name, major=major, words=words))
        raise BackupFailed(f"{name} failed: {words}")
