"""Changes that rewrite the past are refused by the database itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from tests.adapters.persistence.sql.databases import postgres_engine

CHANGES = [
    ("a ledger entry never changes", "UPDATE ledger_entries SET amount = 1 WHERE id = 'charge'"),
    ("a ledger entry never changes", "UPDATE ledger_entries SET description = 'x'"),
    ("a ledger entry is never deleted", "DELETE FROM ledger_entries WHERE id = 'charge'"),
    ("a wallet is never deleted", "DELETE FROM wallets"),
    ("whose wallet it is never changes", "UPDATE users SET wallet_id = 'unused' WHERE id = 'u'"),
    ("whose wallet it is never changes", "UPDATE users SET wallet_id = 'w' WHERE id = 'other'"),
    ("whose wallet it is never changes", "UPDATE users SET id = 'x' WHERE id = 'other'"),
    ("a user is disabled, never deleted", "DELETE FROM users WHERE id = 'other'"),
    ("an erased user never changes", "UPDATE users SET username = 'x' WHERE id = 'erased'"),
    ("an erased user never changes", "UPDATE users SET erased_at = NULL, disabled_at = NULL WHERE id = 'erased'"),
    ("the terms of a code never change", "UPDATE redeem_codes SET uses = 3 WHERE id = 'code'"),
    (
        "a code is withdrawn once",
        "UPDATE redeem_codes SET withdrawn_at = NULL, withdrawn_by = NULL WHERE id = 'withdrawn'",
    ),
    ("the secret of a second factor never changes", "UPDATE second_factors SET sealed_secret = 'x'"),
    ("the secret of a second factor never changes", "UPDATE second_factors SET confirmed_at = NULL"),
    ("a code that was used is not good again", "UPDATE second_factors SET last_step = 6"),
    ("a code that was used is not good again", "UPDATE second_factors SET recovery_digests = 'one two three'"),
    ("a code is never deleted", "DELETE FROM redeem_codes WHERE id = 'code'"),
    ("a record of the audit trail never changes", "UPDATE audit_trail SET reason = 'x'"),
    ("a record of the audit trail is never deleted", "DELETE FROM audit_trail"),
    ("the count of audit records grows by one", "UPDATE audit_trail_counts SET records = 0"),
    ("the count of audit records grows by one", "UPDATE audit_trail_counts SET records = records + 2"),
    ("the count of audit records grows by one", "UPDATE audit_trail_counts SET id = 'x', records = records + 1"),
    ("the count of audit records is never deleted", "DELETE FROM audit_trail_counts"),
    ("what a wallet owns changes with its entries alone", "UPDATE wallets SET posted = posted + 1"),
    ("what a wallet owns changes with its entries alone", "UPDATE wallets SET version = version - 1"),
    ("what a wallet may owe changes with its entries alone", "UPDATE wallets SET overdraft = 1000000"),
    ("what a wallet may owe changes", "UPDATE wallets SET overdraft = 0, version = version + 1 WHERE id = 'other'"),
    ("ck_wallets_available_within_overdraft", "UPDATE wallets SET held = 101"),
    ("a hold is never deleted", "DELETE FROM holds WHERE id = 'pending'"),
    ("a hold is settled once", "UPDATE holds SET state = 'pending', captured = 0, settled_at = NULL"),
    ("a hold is settled once", "UPDATE holds SET state = 'released', captured = 0 WHERE id = 'captured'"),
    ("a hold is settled once", "UPDATE holds SET captured = 5 WHERE id = 'captured'"),
    ("ck_holds_refunded_within_captured", "UPDATE holds SET refunded = 5 WHERE id = 'captured'"),
    ("what was refunded never shrinks", "UPDATE holds SET refunded = 1 WHERE id = 'pending'"),
    ("the terms of a hold never change", "UPDATE holds SET amount = 1 WHERE id = 'pending'"),
    ("the terms of a hold never change", "UPDATE holds SET expires_at = created_at, id = 'x' WHERE id = 'spare'"),
    (
        "whether a reply came out of the cache never changes",
        "UPDATE interactions SET cached = true WHERE id = 'running'",
    ),
    (
        "whether an interaction is temporary never changes",
        "UPDATE interactions SET temporary = true, prompt = '' WHERE id = 'running'",
    ),
    (
        "what an interaction follows never changes",
        "UPDATE interactions SET parent_id = id WHERE id = 'running'",
    ),
    ("a reply is asked to stop once", "UPDATE interactions SET stop_asked_at = created_at WHERE id = 'ended'"),
    ("a reply is asked to stop once", "UPDATE interactions SET stop_asked_at = NULL WHERE id = 'stopping'"),
    ("an interaction is never deleted", "DELETE FROM interactions WHERE id = 'running'"),
    ("what an interaction was asked", "UPDATE interactions SET price_per_reply = 1 WHERE id = 'running'"),
    ("what an interaction was asked", "UPDATE interactions SET hold_id = 'spare' WHERE id = 'running'"),
    ("the figures of an interaction", "UPDATE interactions SET credits_charged = 1 WHERE id = 'ended'"),
    (
        "the figures of an interaction",
        "UPDATE interactions SET outcome = 'running', finished_at = NULL WHERE id = 'ended'",
    ),
    ("may be erased, not rewritten", "UPDATE interactions SET prompt = 'x' WHERE id = 'ended'"),
    ("may be erased, not rewritten", "UPDATE interactions SET reply = 'x' WHERE id = 'ended'"),
    ("a payment is never deleted", "DELETE FROM payments WHERE id = 'unpaid'"),
    *(
        ("a payment is confirmed once, and refunded once", f"UPDATE payments SET {change}")  # noqa: S608 - a test's own words
        for change in (
            "balance_after = 1 WHERE id = 'paid'",
            "confirmed_at = NULL, balance_after = NULL, status = 'pending' WHERE id = 'paid'",
            "confirmed_at = NULL, balance_after = NULL, status = 'failed' WHERE id = 'paid'",
            "status = 'refunded', refunded_at = created_at, balance_after = 1 WHERE id = 'paid'",
            "status = 'refunded', refunded_at = created_at WHERE id = 'unpaid'",
            "status = 'pending' WHERE id = 'failed'",
            "status = 'confirmed', refunded_at = NULL WHERE id = 'returned'",
            "refunded_at = '2026-01-02T12:00:00.000000Z' WHERE id = 'returned'",
        )
    ),
    *(
        ("the owner of a wallet never changes", f"UPDATE wallets SET {change} WHERE id = 'w'")  # noqa: S608 - a test's own words
        for change in ("owner_kind = 'organization'", "owner_id = 'other'")
    ),
    *(
        ("the terms of a hold never change", f"UPDATE holds SET {name} = 'x' WHERE id = 'pending'")  # noqa: S608 - a test's own words
        for name in ("subject_kind", "subject_id", "purpose")
    ),
    ("an event never changes", "UPDATE outbox SET amount = 1"),
    ("the bonus of a purchase never changes", "UPDATE payments SET bonus = 1 WHERE id = 'unpaid'"),
    ("what a payment is for never changes", "UPDATE payments SET credits = 1 WHERE id = 'unpaid'"),
    ("an idempotency key never expires", "DELETE FROM idempotency_keys"),
    ("what an idempotency key stands for", "UPDATE idempotency_keys SET subject_id = 'x'"),
    ("which API key an interaction came with", "UPDATE interactions SET api_key_id = 'k' WHERE id = 'running'"),
    ("an API key is revoked, never deleted", "DELETE FROM api_keys WHERE id = 'gone'"),
    ("what an API key is and may do", "UPDATE api_keys SET monthly_cap = NULL WHERE id = 'k'"),
    ("what an API key is and may do", "UPDATE api_keys SET digest = 'x' WHERE id = 'k'"),
    ("the scopes of an API key never change", "UPDATE api_keys SET scopes = 'chat write' WHERE id = 'k'"),
    ("an API key is revoked once and for ever", "UPDATE api_keys SET revoked_at = NULL WHERE id = 'gone'"),
    ("who revoked an API key, and why", "UPDATE api_keys SET revoked_why = 'x' WHERE id = 'gone'"),
    ("who revoked an API key, and why", "UPDATE api_keys SET revoked_by = NULL, revoked_why = NULL WHERE id = 'gone'"),
    ("what an API key used is never forgotten", "DELETE FROM api_key_months"),
    ("the terms of a month of an API key", "UPDATE api_key_months SET monthly_cap = 20"),
    ("ck_api_key_months_used_within_cap", "UPDATE api_key_months SET used = 11"),
]
ALLOWED = [
    "UPDATE interactions SET prompt = '', reply = '' WHERE id = 'ended'",
    "UPDATE holds SET state = 'released', settled_at = created_at WHERE id = 'pending'",
    "UPDATE holds SET refunded = 3 WHERE id = 'captured'",
    "UPDATE interactions SET stop_asked_at = created_at WHERE id = 'running'",
    "UPDATE wallets SET held = 0 WHERE id = 'w'",
    "UPDATE wallets SET posted = -3, held = 0, version = version + 1, overdraft = 3 WHERE id = 'w'",
    "UPDATE users SET username_key = 'carl', email_key = email_key, role = 'admin' WHERE id = 'u'",
    "UPDATE wallets SET posted = posted + 1, version = version + 1 WHERE id = 'w'",
    "UPDATE payments SET status = 'confirmed', confirmed_at = created_at, balance_after = 1 WHERE id = 'unpaid'",
    "UPDATE payments SET status = 'confirmed', confirmed_at = created_at, balance_after = 1 WHERE id = 'failed'",
    "UPDATE payments SET status = 'failed' WHERE id = 'unpaid'",
    "UPDATE payments SET status = 'refunded', refunded_at = created_at WHERE id = 'paid'",
    "DELETE FROM outbox",
    "UPDATE audit_trail_counts SET records = records + 1",
    "DELETE FROM sessions",
    "UPDATE api_keys SET revoked_at = created_at, revoked_by = 'u', last_used_at = created_at WHERE id = 'k'",
    "UPDATE api_key_months SET used = 10",
    "UPDATE users SET erased_at = created_at, disabled_at = created_at WHERE id = 'u'",
    "UPDATE redeem_codes SET withdrawn_at = created_at, withdrawn_by = 'u' WHERE id = 'code'",
]


@pytest.mark.parametrize(("words", "sql"), CHANGES, ids=[sql for _, sql in CHANGES])
def test_a_change_that_rewrites_the_past_is_refused(connection: Connection, words: str, sql: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        connection.exec_driver_sql(sql)


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_the_domain_does_is_allowed(connection: Connection, sql: str) -> None:
    assert connection.exec_driver_sql(sql).rowcount == 1


KEPT = sorted({sql.split()[2] for _, sql in CHANGES if sql.startswith("DELETE FROM")})
"""Tables that no row ever leaves."""


@pytest.mark.postgres
@pytest.mark.parametrize("table", KEPT)
def test_emptying_a_table_at_once_is_refused_too(tmp_path: Path, table: str) -> None:
    """TRUNCATE is no DELETE: triggers for rows do not see it."""
    with (
        postgres_engine(tmp_path) as engine,
        engine.connect() as connection,
        pytest.raises(DatabaseError, match=f"{table} is never emptied"),
    ):
        connection.exec_driver_sql(f"TRUNCATE {table} CASCADE")
