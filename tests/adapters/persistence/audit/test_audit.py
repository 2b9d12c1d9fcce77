"""A database that was tampered with: the audit names exactly the rule that was broken, whatever hides elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.billing.postings import keep_posting, settle_hold
from chatbill.application.ports.store import Transaction
from chatbill.domain.audit.proof import RULES, Difference
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.prices import Usage
from chatbill.domain.billing.subjects import PAYMENT, Subject
from chatbill.domain.billing.wallets import Posting
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import EntryId, HoldId, InteractionId, PaymentId, UserId
from tests.kit.postgres import shared
from tests.kit.rows import NOON, PURSE, add_person, add_running, api_key, charge, later, payment
from tests.kit.stores import fresh_database

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
    ("replay", "UPDATE wallets SET version = 3 WHERE id = 'wallet-bob'"),
    ("held", "UPDATE wallets SET held = 0 WHERE id = 'wallet-alice'"),
    ("held", "UPDATE wallets SET held = 1 WHERE id = 'wallet-bob'"),
    (
        "available",
        (
            "UPDATE wallets SET held = 500 WHERE id = 'wallet-alice'; UPDATE holds SET amount = 500;"
            " UPDATE interactions SET held = 500"
        ),
    ),
    ("available", "UPDATE wallets SET overdraft = 6 WHERE id = 'wallet-carl'"),
    ("available", "UPDATE wallets SET overdraft = 1 WHERE id = 'wallet-carl'"),
    ("available", "UPDATE wallets SET overdraft = 1000000 WHERE id = 'wallet-bob'"),
    ("capture cause", "UPDATE ledger_entries SET hold_id = NULL WHERE kind = 'charge'"),
    ("capture cause moments", "UPDATE ledger_entries SET hold_id = 'hold-running' WHERE kind = 'charge'"),
    (
        "capture",
        "UPDATE holds SET amount = 3 WHERE state = 'captured'; UPDATE interactions SET held = 3 WHERE id = 'ended'",
    ),
    (
        "purchase cause",
        (
            "UPDATE ledger_entries SET kind = 'top_up', debit = 'house:payments' WHERE kind = 'grant'"
            " AND wallet_id = 'wallet-bob'"
        ),
    ),
    ("purchase", "UPDATE payments SET balance_after = 107"),
    ("purchase", "UPDATE payments SET refunded_at = '2026-01-01T12:00:09.000000Z' WHERE id = 'returned'"),
    ("purchase", "UPDATE payments SET status = 'confirmed', refunded_at = NULL WHERE id = 'returned'"),
    ("purchase", "UPDATE payments SET status = 'refunded', refunded_at = confirmed_at WHERE id = 'paid'"),
    ("purchase", "UPDATE ledger_entries SET payment_id = 'paid' WHERE id = 'return'"),
    ("moments", "UPDATE payments SET confirmed_at = '2026-01-01T12:00:09.000000Z'"),
    ("owner", "UPDATE payments SET user_id = 'bob'"),
    ("owner rules", "DROP INDEX uq_users_wallet_id; UPDATE users SET wallet_id = 'wallet-bob' WHERE id = 'alice'"),
    ("owner rules", "DROP INDEX uq_users_wallet_id; UPDATE users SET wallet_id = 'wallet-alice' WHERE id = 'dora'"),
    ("owner", "UPDATE wallets SET owner_id = 'bob' WHERE id = 'wallet-dora'"),
    ("owner", "UPDATE wallets SET owner_kind = 'organization' WHERE id = 'wallet-dora'"),
    ("owner", "UPDATE interactions SET user_id = 'bob' WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET held = 77 WHERE id = 'running'"),
    ("price", "UPDATE interactions SET wallet_id = 'wallet-bob' WHERE id = 'ended'"),
    ("refund", "UPDATE holds SET refunded = 1 WHERE state = 'captured'"),
    ("refund", "UPDATE ledger_entries SET interaction_id = 'running' WHERE kind = 'refund'"),
    (
        "refund cause",
        "UPDATE ledger_entries SET kind = 'refund', debit = 'house:revenue' WHERE id = 'wallet-bob-1'",
    ),
    ("price", "UPDATE interactions SET price_per_reply = 2 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET completion_tokens = 2000 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET credits_charged = 3 WHERE id = 'ended'"),
    ("price", "UPDATE interactions SET outcome = 'failed' WHERE id = 'ended'"),
    ("price moments", "UPDATE interactions SET outcome = 'failed', finished_at = created_at WHERE id = 'running'"),
    ("price reference", "DELETE FROM interactions WHERE id = 'ended'"),
    ("price", "DELETE FROM interactions WHERE id = 'failed'"),
    ("price", f"INSERT INTO interactions {UNHELD}"),
    ("moments", "UPDATE interactions SET balance_after = 1000 WHERE id = 'ended'"),
    ("moments", "UPDATE interactions SET finished_at = '2026-01-01T12:00:03.000000Z' WHERE id = 'ended'"),
    ("moments", "UPDATE interactions SET created_at = '2026-01-01T11:00:00.000000Z' WHERE id = 'running'"),
    ("moments", "UPDATE ledger_entries SET created_at = '2026-01-01T11:00:00.000000Z' WHERE kind = 'charge'"),
    ("moments", "UPDATE holds SET settled_at = '2026-01-01T11:00:00.000000Z' WHERE state = 'released'"),
    ("cause", "UPDATE ledger_entries SET interaction_id = NULL WHERE kind = 'charge'"),
    ("cause", "UPDATE ledger_entries SET interaction_id = 'running' WHERE kind = 'charge'"),
    ("cause", "UPDATE ledger_entries SET author = 'bob' WHERE kind = 'charge'"),
    ("cause refund", "UPDATE holds SET subject_id = 'running' WHERE id = 'hold-ended'"),
    ("cause price refund", "UPDATE holds SET subject_kind = 'caption' WHERE id = 'hold-ended'"),
    ("cause", "UPDATE ledger_entries SET payment_id = 'paid', interaction_id = NULL WHERE kind = 'charge'"),
    (
        "cause",
        (
            "UPDATE ledger_entries SET subject_kind = 'caption', subject_id = 'ended', interaction_id = NULL"
            " WHERE kind = 'charge'"
        ),
    ),
    ("cause", "UPDATE ledger_entries SET hold_id = 'hold-ended' WHERE kind = 'grant' AND wallet_id = 'wallet-bob'"),
    ("cause purchase", "UPDATE ledger_entries SET author = NULL WHERE kind = 'adjustment'"),
    ("cause", """UPDATE ledger_entries SET description = '{"code":"by_hand","reason":" "}' WHERE id = 'taken'"""),
    ("reference", "UPDATE ledger_entries SET author = 'nobody' WHERE id = 'taken'"),
    ("owner reference", "DELETE FROM users WHERE id = 'dora'"),
    ("reference", "UPDATE interactions SET conversation_id = 'none' WHERE id = 'ended'"),
    ("expiry", "UPDATE holds SET expires_at = '2026-01-01T12:00:10.000000Z' WHERE state = 'pending'"),
    ("expiry", "UPDATE holds SET expires_at = '9999-12-31T12:00:00.000000Z' WHERE state = 'pending'"),
    ("expiry", "UPDATE holds SET expires_at = '2026-01-01T11:00:00.000000Z' WHERE state = 'captured'"),
    ("rules", "DROP INDEX uq_ledger_entries_charge_of_hold"),
]
"""The rules that are broken, and by what."""

OF_ENTRY, OF_HOLD = "UPDATE ledger_entries", "UPDATE holds"
UNREADABLE = [
    *(("ledger_entries", "charge-ended", f"{OF_ENTRY} SET {change} WHERE kind = 'charge'") for change in (
        "amount = 0", "amount = -4", "amount = 9000000000000000000", "debit = credit", "kind = 'gift'",
        "created_at = {moment}", "payment_id = 'paid'", "description = 'Reply'", "description = '[]'",
    )),
    ("holds", "hold-ended", "UPDATE holds SET state = 'lost' WHERE id = 'hold-ended'"),
    *(("holds", "hold-ended", f"{OF_HOLD} SET {column} = {{moment}} WHERE id = 'hold-ended'") for column in (
        "created_at", "expires_at", "settled_at",
    )),
    ("holds", "hold-ended", "UPDATE holds SET subject_id = '' WHERE id = 'hold-ended'"),
    ("holds", "hold-ended", "UPDATE holds SET purpose = 'Reply' WHERE id = 'hold-ended'"),
    ("holds", "hold-ended", "UPDATE interactions SET error_detail = 'Sorry' WHERE id = 'ended'"),
    ("holds", "hold-ended", "UPDATE interactions SET outcome = 'lost' WHERE id = 'ended'"),
    ("holds", "hold-ended", "UPDATE interactions SET price_per_reply = -3 WHERE id = 'ended'"),
    ("holds", "hold-ended", "UPDATE interactions SET finished_at = {moment} WHERE id = 'ended'"),
    ("payments", "paid", "UPDATE payments SET status = 'lost'"),
    ("payments", "paid", "UPDATE payments SET confirmed_at = {moment}"),
    ("payments", "returned", "UPDATE payments SET refunded_at = {moment} WHERE id = 'returned'"),
]  # fmt: skip
"""Table, row, and what makes it so that no program can read it."""

KEY_TAMPERING = [
    "UPDATE api_key_months SET used = 8",
    "UPDATE api_key_months SET used = 10",
    "UPDATE api_key_months SET ends_at = starts_at",
    "UPDATE api_key_months SET monthly_cap = 8",
    "UPDATE api_key_months SET monthly_cap = NULL",
    "UPDATE api_keys SET monthly_cap = 1000000 WHERE id = 'ci'",
    "UPDATE api_keys SET user_id = 'bob' WHERE id = 'ci'",
    "UPDATE api_key_months SET starts_at = '2020-01-01T00:00:00.000000Z'",
    "DELETE FROM api_keys WHERE id = 'ci'",
    "DELETE FROM api_key_months",
    "UPDATE interactions SET api_key_id = NULL WHERE id = 'first'",
    "UPDATE interactions SET api_key_id = 'other' WHERE id = 'second'",
]


@dataclass(frozen=True)
class Database:
    """A database with the guards that SQL can be run without."""

    url: str

    def tamper(self, sql: str) -> None:
        """Change what it holds, with every guard taken away, and put back afterwards."""
        if self.url.startswith("sqlite"):
            self._tamper_sqlite(sql)
        else:
            self._tamper_postgres(sql)

    def _tamper_sqlite(self, sql: str) -> None:
        connection = load_driver().connect(self.url.removeprefix("sqlite:///"))
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(f"PRAGMA ignore_check_constraints = ON; {sql};")
        for _, definition in triggers:
            connection.execute(definition)
        connection.commit()
        connection.close()

    def _tamper_postgres(self, sql: str) -> None:
        name = str(make_url(self.url).database)
        rules = shared().run(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype = 'c'",
            name,
        )
        # Each statement of its own would take a connection of its own, hundreds for each test.
        shared().run("; ".join(f"ALTER TABLE {table} DROP CONSTRAINT {rule}" for table, rule, _ in rules), name)
        # As a replica, a session believes what it is told: neither triggers nor references are looked at.
        shared().run(f"SET session_replication_role = replica; {sql}", name)
        added = (f"ALTER TABLE {table} ADD CONSTRAINT {rule} {words} NOT VALID" for table, rule, words in rules)
        shared().run("; ".join(added), name)


def sqlite(folder: Path) -> Database:
    return Database(sqlite_url(fresh_database(folder)))


def postgres(folder: Path) -> Database:
    return Database(shared().fresh())


@pytest_asyncio.fixture(params=[sqlite, pytest.param(postgres, marks=pytest.mark.postgres)])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Alice with requests, a refund, a payment and a returned one; Bob and Dora with nothing, and Carl with a debt."""
    database: Database = request.param(tmp_path)
    store = open_store(database.url)
    await store.write(fill)
    await store.close()
    return database


def fill(tx: Transaction) -> None:
    add_person(tx)
    for name in ("bob", "dora"):
        add_person(tx, name)
    carl = add_person(tx, "carl", 3)
    by_bob = Cause(description=Description.of("by_hand", reason="It was wrong"), author=UserId("bob"))
    keep_posting(tx, carl.adjust(-5, max_debt=9, entry_id=EntryId("taken"), at=NOON, cause=by_bob))
    for name in ("ended", "running", "failed"):
        add_running(tx, name)
    charge(tx, "ended")
    fail(tx, "failed")
    alice = tx.wallets.lock(PURSE)
    hold = tx.holds.get(HoldId("hold-ended"))
    assert hold
    cause = replace(by_bob, subject=hold.subject, hold_id=hold.id)
    refund = alice.refund(hold, 2, entry_id=EntryId("refund"), at=later(3), cause=cause)
    keep_posting(tx, Posting(refund.wallet, refund.entry))
    tx.holds.save_refund(refund.hold)
    for name, at in (("paid", later(4)), ("returned", later(5))):
        buy(tx, name, at)
    returned, subject = tx.payments.get(PaymentId("returned")), Subject(PAYMENT, "returned")
    assert returned
    cause = Cause(description=Description.of("payment_refunded", package="small"), subject=subject)
    alice = tx.wallets.lock(PURSE)
    keep_posting(tx, alice.take_back(100, entry_id=EntryId("return"), at=later(6), cause=cause))
    tx.payments.save(returned.refunded(at=later(6)))


def buy(tx: Transaction, name: str, at: datetime) -> None:
    bought = payment(name)
    tx.payments.add(bought)
    cause = Cause(description=Description.of("top_up", package="small"), subject=Subject(PAYMENT, bought.id))
    wallet = tx.wallets.lock(PURSE)
    entry = keep_posting(tx, wallet.top_up(100, entry_id=EntryId(f"top-up-{name}"), at=at, cause=cause))
    tx.payments.save(bought.confirmed(at=at, balance_after=entry.balance_after))


def fail(tx: Transaction, name: str) -> None:
    running, wallet = tx.interactions.get(InteractionId(name)), tx.wallets.lock(PURSE)
    assert running
    hold = tx.holds.get(running.hold_id)
    assert hold
    ended = running.ended(
        Outcome.FAILED, at=later(2), reply="", usage=Usage(), credits_charged=0, balance_after=wallet.posted
    )
    tx.interactions.save(ended)
    settle_hold(tx, wallet, hold, 0, entry_id=EntryId("none"), at=later(2))


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


@pytest.mark.parametrize(("rules", "sql"), TAMPERING, ids=[sql for _, sql in TAMPERING])
async def test_the_broken_rule_is_named_and_no_other(books: Database, rules: str, sql: str) -> None:
    books.tamper(sql)
    assert {difference.rule for difference in await differences(books)} == set(rules.split())


@pytest.mark.parametrize(("table", "row", "sql"), UNREADABLE, ids=[sql for _, _, sql in UNREADABLE])
async def test_a_row_that_no_program_can_have_written_is_named_and_the_rest_is_read(
    books: Database, table: str, row: str, sql: str
) -> None:
    on_sqlite = is_sqlite(books)
    moments = ("soon", "2026-01-01") if on_sqlite else ("infinity", "-infinity", "20000-01-01 00:00+00")
    for moment in moments if "{moment}" in sql else ("",):
        books.tamper(sql.format(moment=repr(moment)))
        books.tamper("UPDATE wallets SET held = 4 WHERE id = 'wallet-dora'")
        found = await differences(books)
        assert ("readable", f"row {row} of {table}") in [(each.rule, each.subject) for each in found]
        assert ("held", "wallet wallet-dora") in [(each.rule, each.subject) for each in found]


async def test_a_month_of_a_key_that_no_program_can_have_written_is_named(books: Database) -> None:
    await with_key(books)
    forever = "UPDATE api_key_months SET ends_at = 'infinity'"
    books.tamper(forever if not is_sqlite(books) else forever.replace("infinity", "soon"))
    assert ("readable", "row ci of api_key_months") in [(each.rule, each.subject) for each in await differences(books)]


async def test_amounts_beyond_all_bounds_do_not_end_the_audit(books: Database) -> None:
    await with_key(books)
    books.tamper("UPDATE interactions SET held = 9000000000000000000, credits_charged = 9000000000000000000")
    assert {"price", "key_use"} <= {difference.rule for difference in await differences(books)}


async def test_what_names_one_hold_twice_is_named(books: Database) -> None:
    books.tamper(
        "DROP INDEX uq_ledger_entries_charge_of_hold;"
        " UPDATE ledger_entries SET hold_id = 'hold-ended', kind = 'charge', debit = 'wallet:wallet-alice',"
        " credit = 'house:revenue' WHERE id = 'wallet-alice-1'"
    )
    found = [difference.detail for difference in await differences(books)]
    assert "is captured for 4 and has 2 charges of 104" in found


async def test_a_rule_that_the_database_has_lost_is_named(books: Database) -> None:
    on_sqlite = is_sqlite(books)
    books.tamper("DROP INDEX uq_users_wallet_id")
    assert [str(each) for each in await lost(books)] == ["lacks the index uq_users_wallet_id"]
    if on_sqlite:
        connection = load_driver().connect(books.url.removeprefix("sqlite:///"))
        connection.execute("DROP TRIGGER ledger_entries_come_in_anew")
        connection.close()
        assert "lacks the trigger ledger_entries_come_in_anew" in await lost(books)
        return
    name = str(make_url(books.url).database)
    shared().run("ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_stay", name)
    shared().run("ALTER TABLE ledger_entries DROP CONSTRAINT ck_ledger_entries_amount_in_bounds", name)
    assert "lacks the trigger ledger_entries_stay" in await lost(books)
    assert "lacks the rule ck_ledger_entries_amount_in_bounds" in await lost(books)


def is_sqlite(books: Database) -> bool:
    return books.url.startswith("sqlite")


async def lost(books: Database) -> list[str]:
    return [each.detail for each in await differences(books) if each.rule == "rules"]


@pytest.mark.parametrize("sql", KEY_TAMPERING)
async def test_what_an_api_key_used_is_what_its_interactions_say(books: Database, sql: str) -> None:
    await with_key(books)
    assert await differences(books) == []
    books.tamper(sql)
    assert {difference.rule for difference in await differences(books)} - {"reference"} == {"key_use"}


async def with_key(books: Database) -> None:
    """Alice's key, with a charged and a running request in this month."""

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
    assert {rule for rules, _ in TAMPERING for rule in rules.split()} == set(RULES) - {
        "key_use",
        "readable",
        "trail",
        "codes",
        "roll_up",
    }
