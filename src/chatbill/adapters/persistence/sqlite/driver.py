"""Chooses the SQLite library and sets up its connections."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy.dialects.sqlite import pysqlite

from chatbill.adapters.persistence.sql.connection import Connection, Database
from chatbill.adapters.persistence.sql.errors import unavailable
from chatbill.adapters.persistence.sql.prefix import NO_PREFIX, Prefix
from chatbill.adapters.persistence.sqlite.opened_file import OpenedFile
from chatbill.application.ports.store import StoreUnavailable

SOUND_SINCE = (3, 51, 3)
"""In older versions, two active connections can corrupt a database in WAL mode."""
OLDEST = (3, 39, 0)
"""The first version with all features that the tables and triggers need."""

CACHED_STATEMENTS = 256

_log = logging.getLogger(__name__)


class SqliteConnection(Connection):
    """A connection that knows which files it has open."""

    def __init__(self, database: Database, raw: Any, file: OpenedFile) -> None:
        super().__init__(database, raw)
        # One for all, because to make a cursor takes as long as to change a row of a small table.
        self._changing = raw.cursor()
        self._file = file
        self._log_file: OpenedFile | None = None

    def check_files(self) -> None:
        """Raise `StoreUnavailable` if the path no longer names the file that is open.

        The same holds for the write-ahead log, which has the latest writes. SQLite removes it with the last connection,
        so while this one is open it must be the same file.
        """
        self._file.check()
        if self._log_file is None and self.raw.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            self._log_file = OpenedFile(self._file.path.with_name(f"{self._file.path.name}-wal"))
        if self._log_file:
            self._log_file.opened()


def load_driver() -> ModuleType:
    """Return the newest SQLite installed: that of the package pysqlite3, or Python's own."""
    return newest_of(list(_installed()))


def newest_of(drivers: list[ModuleType]) -> ModuleType:
    """Return the driver with the newest SQLite. Warns of a known bug; raises `StoreUnavailable` if it is too old."""
    newest = max(drivers, key=lambda driver: tuple(driver.sqlite_version_info))
    if newest.sqlite_version_info < OLDEST:
        raise StoreUnavailable(f"SQLite {newest.sqlite_version} is too old; install the package pysqlite3.")
    if newest.sqlite_version_info < SOUND_SINCE:
        sound = ".".join(map(str, SOUND_SINCE))
        advice = (
            f"SQLite {newest.sqlite_version} has a rare bug that can corrupt the database; install pysqlite3, or a"
            f" Python with SQLite {sound}"
        )
        _log.warning("sqlite_has_a_known_bug", extra={"advice": advice})
    return newest


def _installed() -> Iterator[ModuleType]:
    for name in ("pysqlite3", "sqlite3"):
        try:
            yield importlib.import_module(name)
        except ImportError:
            continue


def sqlite_database(driver: ModuleType, prefix: Prefix = NO_PREFIX) -> Database:
    """Return what all connections of a store share."""
    return Database(_dialect(), driver, prefix=prefix)


@cache
def _dialect() -> pysqlite.SQLiteDialect_pysqlite:
    # The driver takes half a microsecond to find a parameter by its name, and a charge has a hundred.
    return pysqlite.dialect(paramstyle="qmark")


def connect_to_write(database: Database, file: OpenedFile, *, busy_timeout_s: float) -> Connection:
    """Return a connection whose commits are on disk when they return."""
    return _connect(
        database,
        file,
        busy_timeout_s,
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        # On macOS a plain sync returns before the data is on the disk.
        "PRAGMA fullfsync = ON",
        "PRAGMA checkpoint_fullfsync = ON",
        "PRAGMA foreign_keys = ON",
        # Without it, INSERT OR REPLACE would delete rows without running triggers.
        "PRAGMA recursive_triggers = ON",
        "PRAGMA cache_size = -16000",
        # Four times the usual pages: fewer syncs of the whole file, for 16 MB of log.
        "PRAGMA wal_autocheckpoint = 4000",
        "PRAGMA journal_size_limit = 67108864",
    )


def connect_to_read(database: Database, file: OpenedFile, *, busy_timeout_s: float) -> Connection:
    """Return a connection that cannot write."""
    return _connect(database, file, busy_timeout_s, "PRAGMA query_only = ON", "PRAGMA cache_size = -8000")


def make_file(path: Path) -> None:
    """Create the database file, readable by its owner only, and its folder, unless they exist."""
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def make_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter, unless it exists."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _connect(database: Database, file: OpenedFile, busy_timeout_s: float, *settings: str) -> Connection:
    driver: Any = database.driver
    file.check()
    try:
        if not file.is_known:
            make_file(file.path)
        raw = driver.connect(
            file.path, timeout=busy_timeout_s, isolation_level=None, cached_statements=CACHED_STATEMENTS
        )
    except (driver.Error, OSError) as error:
        raise unavailable(error) from error
    try:
        file.opened()
        for setting in settings:
            raw.execute(setting).fetchall()
        raw.create_function("casefold", 1, casefold, deterministic=True)
    except (driver.Error, OSError) as error:
        raw.close()
        raise unavailable(error) from error
    except StoreUnavailable:
        raw.close()
        raise
    return SqliteConnection(database, raw, file)


def casefold(text: str | None) -> str | None:
    """Fold the case of every letter. As a function of SQLite, which folds ASCII only."""
    return None if text is None else text.casefold()
