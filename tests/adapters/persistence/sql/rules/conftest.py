"""A database with one row of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from tests.adapters.persistence.sql.databases import insert, postgres_engine, sqlite_engine
from tests.adapters.persistence.sql.rules.books import BOOKS


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    open_engine = {"sqlite": sqlite_engine, "postgres": postgres_engine}[request.param]
    with open_engine(tmp_path_factory.mktemp(request.param)) as opened:
        with opened.begin() as connection:
            for table, row in BOOKS:
                insert(connection, table, row)
        yield opened


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """In a transaction that is never committed."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()
