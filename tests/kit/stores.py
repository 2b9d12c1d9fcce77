"""Each store, new and empty, for tests that run on all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.persistence import SqliteStore, open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.application.ports.store import Store
from tests.kit.postgres import shared


@cache
def empty_database(prefix: str = "") -> Path:
    """Return an SQLite file with the newest schema, to be copied: running the migrations for each test takes longer."""
    path = Path(mkdtemp(prefix="chatbill-tests-")) / "empty.sqlite3"
    schema.upgrade(sqlite_url(path), prefix=prefix)
    return path


def fresh_database(folder: Path, prefix: str = "") -> Path:
    """Make a new database file in this folder."""
    return Path(shutil.copy(empty_database(prefix), folder / "chatbill.sqlite3"))


def memory(folder: Path) -> Store:
    return MemoryStore()


def sqlite(folder: Path) -> Store:
    return SqliteStore(fresh_database(folder))


def sqlite_with_prefix(folder: Path) -> Store:
    return SqliteStore(fresh_database(folder, "shop_"), prefix="shop_")


def postgres(folder: Path) -> Store:
    return open_store(shared().cleared())


def postgres_with_prefix(folder: Path) -> Store:
    return open_store(shared().cleared("shop_"), prefix="shop_")


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": memory,
    "sqlite": sqlite,
    "postgres": postgres,
    "sqlite with a prefix": sqlite_with_prefix,
    "postgres with a prefix": postgres_with_prefix,
}
EVERY_STORE = [pytest.param(name, marks=pytest.mark.postgres) if "postgres" in name else name for name in STORES]
"""The names of all stores, as parameters of a fixture."""
