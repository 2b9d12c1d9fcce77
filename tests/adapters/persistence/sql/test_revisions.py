"""Chatbill keeps its revision in a table of its own, and leaves that of an app alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatbill.adapters.persistence import sqlite_url
from chatbill.adapters.persistence.sql import schema, steps
from chatbill.adapters.persistence.sql.revisions import known
from chatbill.adapters.persistence.sqlite.driver import load_driver
from tests.kit.postgres import shared

Run = Callable[[str], list[Any]]
VERSIONS = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    return shared().empty() if request.param == "postgres" else sqlite_url(tmp_path / "app.sqlite3")


@pytest.fixture
def run(url: str) -> Run:
    """Runs a statement on the database; returns the first column of its rows."""

    def on_sqlite(statement: str) -> list[Any]:
        connection = load_driver().connect(url.removeprefix("sqlite:///"), isolation_level=None)
        rows = connection.execute(statement).fetchall()
        connection.close()
        return [row[0] for row in rows]

    def on_postgres(statement: str) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return [row[0] for row in cursor.fetchall()] if cursor.description else []

    return on_sqlite if url.startswith("sqlite") else on_postgres


def tables(run: Run, url: str) -> set[str]:
    where = (
        "sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if url.startswith("sqlite")
        else "pg_tables WHERE schemaname = 'public'"
    )
    return set(run(f"SELECT {'name' if url.startswith('sqlite') else 'tablename'} FROM {where}"))  # noqa: S608


def made_by_an_older_program(url: str, run: Run, *others: str) -> None:
    """Make the tables of revision 0007, whose program kept its revision where Alembic does by default."""
    schema.upgrade(url, "0007")
    run("DROP TABLE chatbill_version")
    run(VERSIONS)
    for revision in ("0007", *others):
        run(f"INSERT INTO alembic_version VALUES ('{revision}')")  # noqa: S608


def test_the_revision_of_an_older_program_is_taken_over(url: str, run: Run) -> None:
    made_by_an_older_program(url, run)
    assert schema.current(url) == "0007"
    assert "chatbill_version" not in tables(run, url)
    schema.upgrade(url)
    schema.check(url)
    assert "alembic_version" not in tables(run, url)
    assert run("SELECT version_num FROM chatbill_version") == [schema.head()]
    schema.upgrade(url)
    assert schema.drift(url) == []


def test_what_an_app_has_in_the_same_table_stays_there(url: str, run: Run) -> None:
    made_by_an_older_program(url, run, "ab12cd34ef56")
    schema.upgrade(url)
    schema.check(url)
    assert run("SELECT version_num FROM alembic_version") == ["ab12cd34ef56"]


def test_the_revision_of_an_older_program_is_taken_over_on_the_way_back_too(url: str, run: Run) -> None:
    made_by_an_older_program(url, run)
    schema.downgrade(url, "0006")
    assert schema.current(url) == "0006"
    assert "alembic_version" not in tables(run, url)


@pytest.mark.parametrize("revision", ["ab12cd34ef56", "0001", None])
def test_the_tables_of_an_app_stay_and_chatbill_comes_beside_them(url: str, run: Run, revision: str | None) -> None:
    run("CREATE TABLE customers (id INTEGER)")
    run(VERSIONS)
    if revision:
        run(f"INSERT INTO alembic_version VALUES ('{revision}')")  # noqa: S608
    assert schema.current(url) is None
    with pytest.raises(schema.SchemaMismatch, match="revision none"):
        schema.check(url)
    schema.upgrade(url)
    schema.check(url)
    assert schema.drift(url) == []
    assert run("SELECT version_num FROM alembic_version") == ([revision] if revision else [])
    schema.downgrade(url, "base")
    assert tables(run, url) == {"customers", "alembic_version", "chatbill_version"}


@pytest.mark.parametrize("revision", ["ab12cd34ef56", "0001", None])
def test_names_that_an_app_has_taken_are_told_with_a_way_out(url: str, run: Run, revision: str | None) -> None:
    run("CREATE TABLE users (id INTEGER)")
    run("CREATE TABLE payments (id INTEGER)")
    if revision:
        run(VERSIONS)
        run(f"INSERT INTO alembic_version VALUES ('{revision}')")  # noqa: S608
    before = tables(run, url)
    with pytest.raises(schema.SchemaMismatch, match=r": payments, users\. .*CHATBILL_DATABASE_PREFIX") as refused:
        schema.upgrade(url)
    assert "backup" not in str(refused.value)
    assert tables(run, url) == before
    schema.upgrade(url, prefix="chatbill_")
    schema.check(url, prefix="chatbill_")
    assert before < tables(run, url)
    if revision:
        assert run("SELECT version_num FROM alembic_version") == [revision]


def test_a_prefix_never_takes_over_the_tables_of_an_older_program(url: str, run: Run) -> None:
    made_by_an_older_program(url, run)
    schema.upgrade(url, prefix="shop_")
    assert run("SELECT version_num FROM alembic_version") == ["0007"]
    assert schema.current(url) == "0007"


def test_the_names_of_the_files_tell_the_revisions_that_are_in_them() -> None:
    scripts = steps.scripts()
    assert known() == [script.revision for script in scripts.walk_revisions()][::-1]
    assert schema.head() == scripts.get_current_head()


def test_a_schema_that_is_up_to_date_is_checked_and_upgraded_without_alembic(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "app.sqlite3")
    schema.upgrade(url)
    code = """
import sys
from chatbill.adapters.persistence.sql import schema
schema.check(sys.argv[1])
schema.upgrade(sys.argv[1])
assert schema.current(sys.argv[1]) == schema.head()
assert schema.advice(sys.argv[1]) == ""
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)
