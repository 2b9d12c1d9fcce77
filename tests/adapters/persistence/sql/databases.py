"""Databases made by the migrations, for tests that run SQL on them without the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence import sqlite_url
from chatbill.adapters.persistence.sqlite.driver import load_driver
from tests.kit.postgres import shared
from tests.kit.stores import fresh_database


@contextmanager
def sqlite_engine(folder: Path) -> Iterator[Engine]:
    """Yields an SQLite database that enforces every rule, as the store's connections do."""
    engine = create_engine(sqlite_url(fresh_database(folder)), module=load_driver(), poolclass=NullPool)
    event.listen(engine, "connect", _enforce)
    yield engine
    engine.dispose()


@contextmanager
def postgres_engine(folder: Path) -> Iterator[Engine]:
    """Yields a new PostgreSQL database."""
    address = make_url(shared().fresh()).set(drivername="postgresql+psycopg")
    engine = create_engine(address, poolclass=NullPool)
    yield engine
    engine.dispose()


def sqlite_objects(path: Path) -> dict[str, str]:
    """Return every table, index and trigger of an SQLite file: its name, and its SQL with spaces normalized."""
    connection = load_driver().connect(path)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows}


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row by plain SQL."""
    names = ", ".join(row)
    values = ", ".join("NULL" if value is None else repr(value) for value in row.values())
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608 - a test's own words


def _enforce(raw: Any, _record: object) -> None:
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA recursive_triggers = ON")
