"""With a prefix, every name of chatbill's in the database begins with it, and chatbill works as without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sql.prefix import _ALLOWED, MAX_CHARS, Prefix
from chatbill.adapters.persistence.sql.revisions import known
from chatbill.adapters.persistence.sql.rules import expected
from chatbill.adapters.persistence.sqlite import backup
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.ports.store import StoreUnavailable
from chatbill.domain.audit.proof import Difference
from chatbill.domain.shared.errors import UsernameTaken
from chatbill.settings.model import Settings
from tests.kit.postgres import shared
from tests.kit.rows import add_person, add_running, charge, user
from tests.kit.support import world

SHOP = Prefix("shop_")
SQLITE_NAMES = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
POSTGRES_NAMES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " UNION SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    " UNION SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace"
    " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
)


def run(url: str, statement: str) -> list[str]:
    """Run a statement on an SQLite or PostgreSQL database; return the first column of its rows."""
    if not url.startswith("sqlite"):
        return [row[0] for row in shared().run(statement, url.partition("?")[0].rpartition("/")[2])]
    connection = load_driver().connect(url.removeprefix("sqlite:///"), isolation_level=None)
    rows = connection.execute(statement).fetchall()
    connection.close()
    return [row[0] for row in rows]


def names_in(url: str) -> set[str]:
    """Return the names of all tables, indexes, constraints, triggers and functions in the database."""
    return set(run(url, SQLITE_NAMES if url.startswith("sqlite") else POSTGRES_NAMES))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    return shared().empty() if request.param == "postgres" else sqlite_url(tmp_path / "app.sqlite3")


def revisions() -> list[str]:
    return known()


@pytest.mark.parametrize("prefix", ["shop_", "chatbill_"])
def test_every_name_at_every_revision_begins_with_the_prefix(url: str, prefix: str) -> None:
    seen = {}
    for revision in revisions():
        schema.upgrade(url, revision, prefix=prefix)
        seen[revision] = names_in(url)
        assert {name for name in seen[revision] if not name.startswith(prefix)} == set()
    schema.check(url, prefix=prefix)
    assert schema.drift(url, prefix=prefix) == []
    for revision in revisions()[::-1]:
        assert names_in(url) == seen[revision]
        schema.downgrade(url, "-1", prefix=prefix)
    version = Prefix(prefix).of("chatbill_version")
    assert {name for name in names_in(url) if not name.startswith(version)} == set()


def test_the_names_are_those_of_a_database_without_prefix(url: str, tmp_path: Path) -> None:
    plain = sqlite_url(tmp_path / "plain.sqlite3") if url.startswith("sqlite") else shared().empty()
    schema.upgrade(plain)
    schema.upgrade(url, prefix="shop_")
    # PostgreSQL since 18 names these itself, after table and column, and shortens them where they are too long.
    names = {name for name in names_in(plain) if not name.endswith("_not_null")}
    assert {name for name in names_in(url) if not name.endswith("_not_null")} == {f"shop_{name}" for name in names}
    assert max(map(len, names)) + MAX_CHARS <= 63


def test_a_change_by_hand_is_found_behind_the_prefix(url: str) -> None:
    schema.upgrade(url, prefix="shop_")
    run(url, "DROP INDEX shop_ix_holds_pending")
    assert len(schema.drift(url, prefix="shop_")) == 1


async def test_two_sets_of_tables_in_one_database_know_nothing_of_each_other(url: str) -> None:
    found: list[Difference] = []
    for prefix in ("", "shop_"):
        schema.upgrade(url, prefix=prefix)
        store = open_store(url, prefix=prefix)
        await store.write(add_person)
        with pytest.raises(UsernameTaken):
            await store.write(lambda tx: tx.users.add(user(id="another", email="another@example.org")))
        await store.write(add_running)
        await store.write(charge)
        await world(store=store).use_cases.audit.verify_ledger(found.append)
        await store.close()
    assert found == []


async def test_the_audit_misses_a_rule_behind_the_prefix(url: str) -> None:
    schema.upgrade(url, prefix="shop_")
    on_table = "" if url.startswith("sqlite") else " ON shop_holds"
    run(url, f"DROP TRIGGER shop_holds_stay{on_table}")
    store, found = open_store(url, prefix="shop_"), list[Difference]()
    await world(store=store).use_cases.audit.verify_ledger(found.append)
    await store.close()
    assert "shop_holds_stay" in str(found)
    dialect = "sqlite" if url.startswith("sqlite") else "postgresql"
    assert {name for _, name in expected(dialect, SHOP)} == {f"shop_{name}" for _, name in expected(dialect)}


def test_the_wrong_prefix_is_refused_in_words(url: str) -> None:
    schema.upgrade(url)
    for call in (schema.check, schema.upgrade, schema.current):
        with pytest.raises(schema.SchemaMismatch, match="CHATBILL_DATABASE_PREFIX"):
            call(url, prefix="chatbill_")
    with pytest.raises(schema.SchemaMismatch, match="revision none"):
        schema.check(url, prefix="shop_")


def test_a_backup_of_a_database_with_a_prefix_is_proved_and_restored(tmp_path: Path) -> None:
    url, copy = sqlite_url(tmp_path / "app.sqlite3"), tmp_path / "copy"
    schema.upgrade(url, prefix="shop_")
    run(url, "CREATE TABLE users (id INTEGER)")
    assert backup.backup(url, copy, prefix="shop_").doubts == ()
    with pytest.raises(backup.BackupRefused, match="no backup"):
        backup.restore(url, copy, force=True)
    backup.restore(url, copy, force=True, prefix="shop_")
    schema.check(url, prefix="shop_")
    assert "users" in names_in(url)


@pytest.mark.parametrize("bad", ["Shop_", "shop", "1_", "_", "a b_", "'_", "x" * MAX_CHARS + "_", "shop_\n"])
@pytest.mark.parametrize("call", [Prefix, lambda bad: open_store("sqlite:///x", prefix=bad)])
def test_a_prefix_that_is_no_beginning_of_a_name_is_refused(call: Callable[[str], object], bad: str) -> None:
    with pytest.raises(ValueError, match="as in chatbill_"):
        call(bad)


def test_the_setting_allows_the_same() -> None:
    (pattern,) = (
        each.pattern for each in Settings.model_fields["database_prefix"].metadata if hasattr(each, "pattern")
    )
    assert pattern == f"^({_ALLOWED.pattern})?$"


def test_only_names_are_changed() -> None:
    sql = (
        "UPDATE users SET wallet_id = :users, role = 'users' WHERE id = %(holds_1)s OR \"users\".id = '''holds' -- it's"
    )
    assert SHOP.applied(sql) == sql.replace("UPDATE users", "UPDATE shop_users").replace('"users"', '"shop_users"')
    assert SHOP.applied(SHOP.applied(sql)) == SHOP.applied(sql)
    assert Prefix().applied(sql) == sql


@pytest.mark.postgres
async def test_a_schema_of_postgresql_is_another_way_to_keep_apart() -> None:
    url = shared().empty()
    run(url, "CREATE TABLE users (id integer)")
    run(url, "CREATE SCHEMA books")
    inside = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dbooks"
    schema.upgrade(inside)
    schema.check(inside)
    store, found = open_store(inside), list[Difference]()
    await store.write(add_person)
    await store.write(add_running)
    await store.write(charge)
    await world(store=store).use_cases.audit.verify_ledger(found.append)
    await store.close()
    assert found == []
    assert schema.drift(inside) == []
    assert names_in(url) == {"users"}
    with pytest.raises(StoreUnavailable, match="already exist under names"):
        schema.upgrade(url)
