"""A database that was tampered with: the audit names exactly the rule that was broken, whatever hides elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sqlite_driver import load_driver
from chatbill.application.ports.store import Transaction
from chatbill.application.use_cases.verify_ledger import VerifyLedger
from chatbill.domain.audit import RULES, Difference
from tests.contract.stores import add_person, add_running, api_key, charge, fresh_database, later
from tests.postgres import shared

UNHELD = (
    "(id, conversation_id, user_id, wallet_id, hold_id, model, price_per_reply, price_per_1k_prompt_tokens,"
    " price_per_1k_completion_tokens, held, created_at, outcome, prompt_tokens, completion_tokens, credits_charged,"
    " prompt, reply)"
    " SELECT 'new', conversation_id, user_id, wallet_id, 'no-hold', model, 0, 0, 0, 0, created_at, outcome, 0, 0, 0,"
    " '', '' FROM interactions LIMIT 1"
)
TAMPERING = [
    ("zero_sum", "UPDATE ledger_entries SET credit = 'house:payments' WHERE kind = 'charge'"),
    ("replay", "UPDATE ledger_entries SET balance_after = 99 WHERE kind = 'grant' AND wallet_id = 'wallet-alice'"),
    ("replay", "UPDATE ledger_entries SET wallet_version = 7 WHERE kind = 'grant' AND wallet_id = 'wallet-bob'"),
    ("replay", "UPDATE wallets SET version = 3 WHERE id = 'wallet-alice'"),
    ("held", "UPDATE wallets SET held = 0 WHERE id = 'wallet-alice'"),
    ("held", "UPDATE wallets SET held = 1 WHERE id = 'wallet-bob'"),
    (
        "available",
        (
            "UPDATE wallets SET held = 500 WHERE id = 'wallet-alice'; UPDATE holds SET amount = 500;"
            " UPDATE interactions SET held = 500"
        ),
    ),
    ("capture", "UPDATE ledger_entries SET hold_id = NULL WHERE kind = 'charge'"),
    ("capture", "UPDATE ledger_entries SET hold_id = 'hold-running' WHERE kind = 'charge'"),
    (
        "capture",
        "UPDATE holds SET amount = 3 WHERE state = 'captured'; UPDATE interactions SET held = 3 WHERE id = 'ended'",
    ),
    (
        "purchase",
        (
            "UPDATE ledger_entries SET kind = 'top_up', debit = 'house:payments' WHERE kind = 'grant'"
            " AND wallet_id = 'wallet-bob'"
        ),
    ),
    ("price", "UPDATE interactions SET held = 77 WHERE id = 'running'"),
    ("price", "UPDATE interactions SET wallet_id = 'wallet-bob' WHERE id = 'ended'"),
    ("refund", "UPDATE holds SET refunded = 1 WHERE state = 'captured'"),
    ("refund", "UPDATE ledger_entries SET kind = 'refund', debit = 'house:revenue' WHERE id = 'wallet-bob-1'"),
    ("price", "UPDATE interactions SET price_per_reply = 2 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET completion_tokens = 2000 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET credits_charged = 3 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET outcome = 'failed' WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET outcome = 'failed' WHERE id = 'running'"),
    ("price", "DELETE FROM interactions WHERE id = 'ended'"),
    ("price", f"INSERT INTO interactions {UNHELD}"),
    ("expiry", "UPDATE holds SET expires_at = '2026-01-01T11:00:00.000000Z' WHERE state = 'pending'"),
]

KEY_TAMPERING = [
    "UPDATE api_key_months SET used = 8",
    "UPDATE api_key_months SET used = 10",
    "UPDATE api_key_months SET ends_at = starts_at",
    "UPDATE api_key_months SET monthly_cap = 8",
    "DELETE FROM api_key_months",
    "UPDATE interactions SET api_key_id = NULL WHERE id = 'first'",
    "UPDATE interactions SET api_key_id = 'other' WHERE id = 'second'",
]


@dataclass(frozen=True)
class Database:
    """A database with the guards that SQL can be run without."""

    url: str

    def tamper(self, sql: str) -> None:
        """Change what it holds, with every guard taken away."""
        if self.url.startswith("sqlite"):
            self._tamper_sqlite(sql)
        else:
            self._tamper_postgres(sql)

    def _tamper_sqlite(self, sql: str) -> None:
        connection = load_driver().connect(self.url.removeprefix("sqlite:///"))
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.executescript(f"PRAGMA ignore_check_constraints = ON; {sql};")
        connection.commit()
        connection.close()

    def _tamper_postgres(self, sql: str) -> None:
        name = str(make_url(self.url).database)
        rules = (
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype = 'c'"
        )
        for table, rule in shared().run(rules, name):
            shared().run(f"ALTER TABLE {table} DROP CONSTRAINT {rule}", name)
        # As a replica, a session believes what it is told: neither triggers nor references are looked at.
        shared().run(f"SET session_replication_role = replica; {sql}", name)


def sqlite(folder: Path) -> Database:
    return Database(sqlite_url(fresh_database(folder)))


def postgres(folder: Path) -> Database:
    return Database(shared().fresh())


@pytest_asyncio.fixture(params=[sqlite, pytest.param(postgres, marks=pytest.mark.postgres)])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Alice with a charged and a running request, and Bob with neither."""
    database: Database = request.param(tmp_path)
    store = open_store(database.url)
    await store.write(add_person)
    await store.write(lambda tx: add_person(tx, "bob"))
    for name in ("ended", "running"):
        await store.write(lambda tx, name=name: add_running(tx, name))  # type: ignore[misc]
    await store.write(lambda tx: charge(tx, "ended"))
    await store.close()
    return database


async def differences(database: Database) -> list[Difference]:
    found: list[Difference] = []
    store = open_store(database.url)
    verdict = await VerifyLedger(store=store, clock=lambda: later(30), sweep_allowance_s=0)(found.append)
    await store.close()
    assert verdict.differences == len(found)
    assert verdict.agrees is not bool(found)
    return found


async def test_honest_books_agree(books: Database) -> None:
    assert await differences(books) == []


@pytest.mark.parametrize(("rule", "sql"), TAMPERING, ids=[sql for _, sql in TAMPERING])
async def test_the_broken_rule_is_named_and_no_other(books: Database, rule: str, sql: str) -> None:
    books.tamper(sql)
    assert {difference.rule for difference in await differences(books)} == {rule}


@pytest.mark.parametrize("sql", KEY_TAMPERING)
async def test_what_an_api_key_used_is_what_its_interactions_say(books: Database, sql: str) -> None:
    def fill(tx: Transaction) -> None:
        keys = [api_key("ci", monthly_cap=20), api_key("other")]
        for key in keys:
            tx.api_keys.add(key)
        for name in ("first", "second"):
            add_running(tx, name, api_key_id=keys[0].id)
        charge(tx, "first")
        month = keys[0].month_of(later(0))
        month.reserve(9)
        tx.api_keys.save_month(month)

    store = open_store(books.url)
    await store.write(fill)
    await store.close()
    assert await differences(books) == []
    books.tamper(sql)
    assert {difference.rule for difference in await differences(books)} == {"key_use"}


async def test_credits_out_of_nowhere_break_the_replay_and_the_sum(books: Database) -> None:
    books.tamper("UPDATE wallets SET posted = posted + 1 WHERE id = 'wallet-bob'")
    assert {difference.rule for difference in await differences(books)} == {"replay", "zero_sum"}


async def test_rows_of_a_wallet_that_is_gone_are_named(books: Database) -> None:
    books.tamper("DELETE FROM wallets WHERE id = 'wallet-bob'")
    (difference,) = [row for row in await differences(books) if row.rule == "replay"]
    assert "wallet-bob" in difference.subject


async def test_a_hold_past_its_time_may_await_the_sweep_for_a_while(books: Database) -> None:
    store = open_store(books.url)
    found: list[Difference] = []
    for allowance_s, expected in ((10, 0), (0, 1)):
        verify = VerifyLedger(
            store=store, clock=lambda: later(60) + timedelta(seconds=5), sweep_allowance_s=allowance_s
        )
        assert (await verify(found.append)).differences == expected
    assert [difference.rule for difference in found] == ["expiry"]
    await store.close()


def test_every_rule_is_broken_here() -> None:
    assert {rule for rule, _ in TAMPERING} == set(RULES) - {"key_use"}
