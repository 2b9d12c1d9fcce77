"""The migrations make what the repositories expect, up and down, on both databases, whoever comes first."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sql.revisions import known
from chatbill.adapters.persistence.sql.rules import expected
from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.ports.store import StoreUnavailable
from tests.adapters.persistence.sql.databases import sqlite_objects


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "folder" / "new.sqlite3")


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_an_upgrade_makes_folder_file_and_schema_and_repeating_it_changes_nothing(url: str) -> None:
    assert schema.current(url) is None
    schema.upgrade(url)
    before = sqlite_objects(path_of(url))
    schema.upgrade(url)
    schema.check(url)
    assert sqlite_objects(path_of(url)) == before
    assert schema.current(url) == schema.head()


def test_the_file_is_for_its_owner_alone(url: str) -> None:
    schema.upgrade(url)
    assert path_of(url).stat().st_mode & 0o777 == 0o600


def test_every_step_can_be_climbed_down_and_up_again(url: str) -> None:
    revisions = known()
    seen = {}
    for revision in revisions:
        schema.upgrade(url, revision)
        seen[revision] = sqlite_objects(path_of(url))
    for revision in revisions[::-1]:
        assert sqlite_objects(path_of(url)) == seen[revision]
        schema.downgrade(url, "-1")
    assert set(sqlite_objects(path_of(url))) == {"chatbill_version"}
    schema.upgrade(url)
    assert sqlite_objects(path_of(url)) == seen[schema.head()]


def test_migrations_and_tables_are_the_same_to_the_last_word(url: str, tmp_path: Path) -> None:
    schema.upgrade(url)
    made = tmp_path / "tables.sqlite3"
    engine = create_engine(sqlite_url(made), module=load_driver(), poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()
    assert schema.drift(url) == []

    def words(path: Path) -> dict[str, list[str]]:
        # The order of constraints within a table does not matter, nor does whether a reference stands with its column.
        found = [(name, re.sub(r"FOREIGN KEY\(\w+\) ", "", sql)) for name, sql in sqlite_objects(path).items()]
        return {
            name: sorted(sql.replace("(", " ( ").replace(")", " ) ").replace(",", " ").split())
            for name, sql in found
            if not sql.startswith("CREATE TRIGGER") and name != "chatbill_version"
        }

    def references(path: Path) -> dict[str, list[tuple[str, ...]]]:
        connection = load_driver().connect(path)
        tables = [name for name, sql in sqlite_objects(path).items() if sql.startswith("CREATE TABLE")]
        query = 'SELECT "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?)'
        found = {table: sorted(connection.execute(query, [table]).fetchall()) for table in tables}
        connection.close()
        return {table: rows for table, rows in found.items() if rows}

    assert words(path_of(url)) == words(made)
    assert references(path_of(url)) == references(made)


def test_the_audit_knows_every_rule_by_name(url: str) -> None:
    schema.upgrade(url)
    made = sqlite_objects(path_of(url))
    rules = {name for name, sql in made.items() if sql.startswith(("CREATE TRIGGER", "CREATE UNIQUE INDEX"))}
    assert {name for _, name in expected("sqlite")} == rules


def test_a_database_without_schema_or_of_a_newer_program_is_refused_in_words(url: str) -> None:
    with pytest.raises(schema.SchemaMismatch, match="Run `chatbill db upgrade`"):
        schema.check(url)
    assert not path_of(url).exists()
    schema.upgrade(url)
    connection = load_driver().connect(path_of(url))
    connection.execute("UPDATE chatbill_version SET version_num = '9999'")
    connection.execute("UPDATE compatibility SET oldest_program = '9999'")
    connection.commit()
    connection.close()
    for refused in (schema.upgrade, schema.check):
        with pytest.raises(schema.SchemaMismatch, match="made by a newer chatbill"):
            refused(url)


def test_a_step_that_fails_leaves_nothing_behind(url: str) -> None:
    path_of(url).parent.mkdir()
    connection = load_driver().connect(path_of(url))
    connection.executescript("CREATE TABLE other (id TEXT); CREATE INDEX ix_payments_user_id ON other (id)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="already exists"):
        schema.upgrade(url)
    assert set(sqlite_objects(path_of(url))) == {"other", "ix_payments_user_id"}


def test_what_is_no_database_is_refused_in_words(url: str) -> None:
    path_of(url).parent.mkdir()
    path_of(url).write_bytes(b"Dear diary, " * 1_000)
    with pytest.raises(StoreUnavailable, match="not_a_database"):
        schema.upgrade(url)


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "nonsense", "sqlite:///f?x=y"])
def test_an_address_that_cannot_be_used_is_refused_in_words(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|There is no store"):
        open_store(address)


def test_processes_that_upgrade_at_the_same_time_wait_for_one_another(url: str) -> None:
    program = "import sys; from chatbill.adapters.persistence.sql import schema; schema.upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    failures = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, failures
    schema.check(url)
