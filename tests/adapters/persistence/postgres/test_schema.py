"""The same migrations on PostgreSQL: up and down, by many at once, and refused in words where that is the answer."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sql.revisions import known
from chatbill.adapters.persistence.sql.rules import expected
from chatbill.adapters.persistence.sql.tables import metadata
from chatbill.application.ports.store import StoreUnavailable
from tests.kit.postgres import shared

pytestmark = pytest.mark.postgres


@pytest.fixture
def url() -> str:
    return shared().empty()


def name_of(url: str) -> str:
    return str(make_url(url).database)


def objects(url: str) -> dict[str, Any]:
    """Everything that the migrations make, by what PostgreSQL says of it."""
    queries = {
        "columns": "SELECT table_name, column_name, data_type, is_nullable, collation_name"
        " FROM information_schema.columns WHERE table_schema = 'public'",
        # A trigger that waits for the end of its transaction is listed here too.
        "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype <> 't'",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    }
    return {kind: sorted(shared().run(query, name_of(url)), key=str) for kind, query in queries.items()}


def revisions() -> list[str]:
    return known()


def test_an_upgrade_makes_the_schema_and_repeating_it_changes_nothing(url: str) -> None:
    assert schema.current(url) is None
    schema.upgrade(url)
    before = objects(url)
    schema.upgrade(url)
    schema.check(url)
    assert objects(url) == before
    assert schema.current(url) == schema.head()


def test_every_step_can_be_climbed_down_and_up_again(url: str) -> None:
    seen = {}
    for revision in revisions():
        schema.upgrade(url, revision)
        seen[revision] = objects(url)
    schema.upgrade(url)
    for revision in revisions()[::-1]:
        assert objects(url) == seen[revision]
        schema.downgrade(url, "-1")
    assert schema.current(url) is None
    assert {name for name, *_ in objects(url)["columns"]} == {"chatbill_version"}
    assert objects(url)["functions"] == objects(url)["triggers"] == []
    schema.upgrade(url)
    assert objects(url) == seen[schema.head()]


def test_migrations_and_tables_do_not_drift_apart(url: str) -> None:
    schema.upgrade(url)
    assert schema.drift(url) == []
    shared().run("DROP INDEX ix_holds_pending", name_of(url))
    assert len(schema.drift(url)) == 1


def test_every_rule_of_the_tables_is_in_the_migrations_word_by_word(url: str) -> None:
    schema.upgrade(url)
    made = shared().empty()
    engine = create_engine(make_url(made).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()
    climbed, created = objects(url), objects(made)
    for kind in ("columns", "constraints", "indexes"):
        assert [row for row in climbed[kind] if "chatbill_version" not in str(row)] == created[kind]


def test_the_audit_knows_every_rule_by_name(url: str) -> None:
    schema.upgrade(url)
    made = objects(url)
    rules = {name for kind in ("constraints", "triggers") for name, *_ in made[kind] if name != "chatbill_version_pkc"}
    unique = {name for name, words in made["indexes"] if "UNIQUE" in words and name != "chatbill_version_pkc"}
    # On servers since 18, a column that must not be empty is a constraint with a name too.
    assert {name for _, name in expected("postgresql")} == {name for name in rules | unique if "not_null" not in name}


def test_processes_that_upgrade_at_the_same_time_wait_for_one_another(url: str) -> None:
    program = "import sys; from chatbill.adapters.persistence.sql import schema; schema.upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    failures = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, failures
    schema.check(url)


def test_a_step_that_fails_leaves_nothing_behind(url: str) -> None:
    shared().run("CREATE TABLE other (id text)", name_of(url))
    shared().run("CREATE INDEX ix_payments_user_id ON other (id)", name_of(url))
    with pytest.raises(StoreUnavailable, match="already exists"):
        schema.upgrade(url)
    assert {name for name, *_ in objects(url)["columns"]} == {"other"}


def test_a_database_without_schema_or_of_a_newer_program_is_refused_in_words(url: str) -> None:
    with pytest.raises(schema.SchemaMismatch, match="Run `chatbill db upgrade`"):
        schema.check(url)
    schema.upgrade(url)
    shared().run("UPDATE chatbill_version SET version_num = '9999'", name_of(url))
    shared().run("UPDATE compatibility SET oldest_program = '9999'", name_of(url))
    for refused in (schema.upgrade, schema.check):
        with pytest.raises(schema.SchemaMismatch, match="made by a newer chatbill"):
            refused(url)


def test_a_database_that_cannot_hold_every_language_is_refused_in_words() -> None:
    shared().run("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    with pytest.raises(schema.SchemaMismatch, match="--encoding=UTF8"):
        schema.upgrade(shared().url("latin"))


def test_a_database_that_does_not_exist_is_told_of_in_words() -> None:
    with pytest.raises(StoreUnavailable, match='"nowhere" does not exist'):
        schema.upgrade(shared().url("nowhere"))
