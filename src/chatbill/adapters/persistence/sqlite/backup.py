"""Backs up and restores an SQLite database while it is in use. For PostgreSQL, errors name its own tools.

A backup is one file with the state of one moment. A restore audits the copy before it replaces anything, and then
writes into the database's own file in one transaction.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL

from chatbill.adapters.persistence.addresses import is_postgres, parsed, sqlite_path, sqlite_url
from chatbill.adapters.persistence.repositories import SqlTransaction
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sql.prefix import Prefix
from chatbill.adapters.persistence.sqlite.driver import connect_to_read, load_driver, make_file, sqlite_database
from chatbill.adapters.persistence.sqlite.opened_file import OpenedFile
from chatbill.application.audit.auditing import audit_store
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.audit.proof import Tally

BUSY_TIMEOUT_S = 2.0
SHOWN = 10
"""How many differences of the audit are shown when a restore is refused."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_SIDE_FILES = ("-wal", "-shm", "-journal")


class BackupRefused(StoreUnavailable):
    """Nothing was written or replaced; the message says why and what to do."""

    code = "backup_refused"


@dataclass(frozen=True, slots=True)
class Copy:
    """The size of a backup in bytes, and the first differences of its audit, or why it was not audited."""

    size: int
    doubts: tuple[str, ...]


def backup(url: str, target: Path, *, force: bool = False, prefix: str = "") -> Copy:
    """Copy the database, as it is at one moment, to the file `target`, and audit the copy.

    The database stays in use meanwhile. The file appears whole or not at all, is on disk when this returns, and is
    readable by its owner only. It is kept even if the audit fails: it may be the only copy. Raises
    `BackupRefused`, such as for a file that exists, unless `force`; and `StoreUnavailable`.
    """
    source = _sqlite_file(url, _HOW_TO_DUMP)
    if not source.exists():
        raise BackupRefused(f"There is no database at {source} yet.")
    _require_another(target, source)
    if target.exists() and not force:
        raise BackupRefused(f"{target} exists already. Choose another name, or replace it with --force.")
    with _errors_translated(), _beside(target) as made:
        driver = load_driver()
        _copy(driver, source, made)
        _require_sound(driver, made)
        copy = Copy(made.stat().st_size, tuple(_doubts(driver, made, prefix)))
        made.replace(target)
        _sync(target.parent)
    return copy


def restore(url: str, source: Path, *, force: bool = False, prefix: str = "") -> Tally:
    """Replace the database by the copy in the file `source`; return the totals of its audit.

    The copy must be sound, of a revision that this program knows (an older one is brought up to date) and have a
    consistent ledger. Holds that were pending stay pending; see `ExpireHolds`. A database that exists is replaced only
    with `force`, and never while another process has it open. Raises `BackupRefused` and `StoreUnavailable`.
    """
    path = _sqlite_file(url, _HOW_TO_RESTORE)
    if not source.is_file():
        raise BackupRefused(f"There is no file {source}.")
    _require_another(source, path)
    if path.exists() and not force:
        raise BackupRefused(f"There is a database at {path} already. To replace it for good, add --force.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _errors_translated(), _beside(path) as copy:
        driver = load_driver()
        _copy(driver, source, copy)
        tally = _proved(driver, copy, source, prefix)
        if path.exists() and _written_into(driver, copy, path):
            return tally
        for name in _SIDE_FILES:
            path.with_name(path.name + name).unlink(missing_ok=True)
        copy.replace(path)
        _sync(path.parent)
    return tally


def _proved(driver: ModuleType, copy: Path, source: Path, prefix: str) -> Tally:
    """Audit the copy. Raises `BackupRefused` unless it is undamaged, of chatbill, and the audit finds no difference."""
    _require_sound(driver, copy)
    _require_references(driver, copy)
    if schema.current(sqlite_url(copy), prefix=prefix) is None:
        raise BackupRefused(f"{source} is no backup of chatbill.")
    schema.upgrade(sqlite_url(copy), prefix=prefix)
    tally = Tally()
    if told := _differences(driver, copy, tally, prefix):
        raise BackupRefused("\n  ".join([f"The ledger in {source} is not consistent, so it was not restored:", *told]))
    # Back into one file.
    with closing(driver.connect(copy)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE").fetchall()
    return tally


def _doubts(driver: ModuleType, copy: Path, prefix: str) -> list[str]:
    at = schema.current(sqlite_url(copy), prefix=prefix)
    if at != schema.head():
        return [f"its schema is at {at or 'no revision'} and not at {schema.head()}, so its ledger was not read"]
    return _differences(driver, copy, Tally(), prefix)


def _differences(driver: ModuleType, copy: Path, tally: Tally, prefix: str) -> list[str]:
    """Return the first differences. In an old copy every pending hold is overdue, which is no difference."""
    database = sqlite_database(driver, Prefix(prefix))
    connection = connect_to_read(database, OpenedFile(copy), busy_timeout_s=BUSY_TIMEOUT_S)
    with closing(connection.raw):
        found = audit_store(SqlTransaction(connection).audit, now=_BEGINNING, tally=tally)
        return [f"{difference.subject}: {difference.detail}" for difference in islice(found, SHOWN)]


def _written_into(driver: Any, copy: Path, path: Path) -> bool:
    """Replace the contents of the database at `path`; return False if it is too damaged for that.

    A crash meanwhile leaves the old contents.
    """
    with closing(driver.connect(copy)) as new, closing(_opened(driver, path)) as old:
        try:
            # In WAL mode every connection holds a shared lock; leaving the mode needs it exclusively.
            for command in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "synchronous = FULL"):
                old.execute(f"PRAGMA {command}").fetchall()
            old.execute("BEGIN EXCLUSIVE")
            old.execute("COMMIT")
            new.backup(old)
        except driver.DatabaseError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise BackupRefused(f"A process uses the database at {path}. Stop it first, then restore.") from error
            if any(sign in str(error) for sign in ("malformed", "not a database")):
                return False
            raise
    return True


def _copy(driver: ModuleType, source: Path, target: Path) -> None:
    """Copy in one step: the writer does not wait, and its commits meanwhile are not copied."""
    with closing(_opened(driver, source)) as old, closing(driver.connect(target, isolation_level=None)) as new:
        old.execute("PRAGMA query_only = ON")
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE").fetchall()
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def _require_sound(driver: ModuleType, path: Path) -> None:
    with closing(_opened(driver, path)) as raw:
        (verdict,) = raw.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BackupRefused(f"The copy is damaged: {verdict}.")


def _require_references(driver: ModuleType, path: Path) -> None:
    with closing(_opened(driver, path)) as raw:
        if raw.execute("PRAGMA foreign_key_check").fetchone():
            raise BackupRefused("The copy is damaged: a row refers to nothing.")


def _opened(driver: Any, path: Path) -> Any:
    return driver.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _sqlite_file(url: str, how_to: str) -> Path:
    address = parsed(url)
    if is_postgres(address):
        raise BackupRefused(_told_how(how_to, address))
    return sqlite_path(address)


_HOW_TO_DUMP = (
    "`chatbill backup make` backs up PostgreSQL, too. By its own tools, while chatbill runs:\n"
    "  pg_dump --format=custom --file=FILE '{0}'\n"
    "The password comes from ~/.pgpass or PGPASSWORD. Prove a copy now and then: restore it, and run "
    "`chatbill ledger verify` on it."
)
_HOW_TO_RESTORE = (
    "A PostgreSQL database is restored by PostgreSQL's own tools, into a new one, which has nothing that the copy does "
    "not know of. Stop chatbill, then:\n"
    "  createdb --template=template0 --encoding=UTF8 --maintenance-db='{0}' '{1}'\n"
    "  pg_restore --single-transaction --no-owner --dbname='{2}' FILE\n"
    "The password comes from ~/.pgpass or PGPASSWORD. Let CHATBILL_DATABASE_URL name the new database, run "
    "`chatbill db upgrade`, `chatbill ledger sweep` and `chatbill ledger verify`, and start chatbill again."
)


def _told_how(how_to: str, address: URL) -> str:
    """Return the instructions with addresses for PostgreSQL's tools, without the password."""
    plain = address._replace(drivername="postgresql", password=None)
    restored = f"{address.database}_restored"
    return how_to.format(plain.render_as_string(), restored, plain.set(database=restored).render_as_string())


def _require_another(copy: Path, database: Path) -> None:
    """Refuse as a copy the database itself, one of its side files, or what is not a file."""
    for name in ("", *_SIDE_FILES):
        file = database.with_name(database.name + name)
        if copy.absolute() == file.absolute() or (copy.exists() and file.exists() and copy.samefile(file)):
            raise BackupRefused(f"{copy} is the database itself, or a part of it. Choose another file for the copy.")
    if copy.exists() and not copy.is_file():
        raise BackupRefused(f"{copy} is no file. Choose another one for the copy.")


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a new file in the folder of `path`, readable by its owner only, and remove what remains of it."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    make_file(made)
    try:
        yield made
    finally:
        for name in ("", *_SIDE_FILES):
            made.with_name(made.name + name).unlink(missing_ok=True)


@contextlib.contextmanager
def _errors_translated() -> Iterator[None]:
    """Translate errors of the driver and of files."""
    driver: Any = load_driver()
    try:
        yield
    except (driver.Error, OSError) as error:
        raise unavailable(error) from error


def _sync(folder: Path) -> None:
    """Make a new name in the folder durable, if the system supports it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
