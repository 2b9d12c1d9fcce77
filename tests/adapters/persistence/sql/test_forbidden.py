"""The database forbids what the domain would never do: plain SQL, with the domain out of the way, is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le
from sqlalchemy import CheckConstraint, Connection, Engine
from sqlalchemy.exc import DatabaseError

from chatbill.adapters.persistence.sql.tables import MAX_CREDITS, metadata
from chatbill.adapters.persistence.sqlite.driver import load_driver
from chatbill.domain.billing.holds import MAX_HOLD_S
from chatbill.domain.billing.ledger import MAX_CREDITS as DOMAIN_MAX_CREDITS
from chatbill.settings import Settings
from tests.adapters.persistence.sql.databases import insert, postgres_engine, sqlite_engine, sqlite_objects
from tests.kit.stores import empty_database

T = "2026-01-01T12:00:00.000000Z"
HOLD = {
    "id": "pending",
    "wallet_id": "w",
    "amount": 5,
    "created_at": T,
    "expires_at": T,
    "state": "pending",
    "captured": 0,
    "refunded": 0,
    "settled_at": None,
    "subject_kind": "interaction",
    "subject_id": "running",
    "purpose": '{"code":"reply","model":"demo-mini"}',
}
RUNNING = {
    "id": "running",
    "conversation_id": "c",
    "user_id": "u",
    "wallet_id": "w",
    "hold_id": "pending",
    "model": "demo-mini",
    "price_per_reply": 4,
    "price_per_1k_prompt_tokens": 0,
    "price_per_1k_completion_tokens": 0,
    "held": 5,
    "created_at": T,
    "outcome": "running",
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "credits_charged": 0,
    "balance_after": None,
    "processing_time_ms": None,
    "finished_at": None,
    "error_code": None,
    "error_detail": None,
    "prompt": "Hello",
    "reply": "",
}
ENDED = {"outcome": "completed", "credits_charged": 4, "balance_after": 100, "processing_time_ms": 1, "finished_at": T}
ENTRY = {
    "wallet_id": "w",
    "wallet_version": 2,
    "id": "charge",
    "kind": "charge",
    "debit": "wallet:w",
    "credit": "house:revenue",
    "amount": 4,
    "balance_after": 100,
    "description": '{"code":"reply","model":"demo-mini"}',
    "created_at": T,
    "hold_id": "captured",
    "interaction_id": "ended",
    "payment_id": None,
}
GRANT = {"kind": "grant", "debit": "house:promotions", "credit": "wallet:w", "hold_id": None, "interaction_id": None}
BOUGHT = {
    "wallet_version": 3,
    "id": "bought",
    "kind": "top_up",
    "debit": "house:payments",
    "credit": "wallet:w",
    "amount": 100,
    "balance_after": 200,
    "hold_id": None,
    "interaction_id": None,
    "payment_id": "paid",
}
RETURN = {
    "kind": "adjustment",
    "debit": "wallet:w",
    "credit": "house:adjustments",
    "amount": 100,
    "hold_id": None,
    "interaction_id": None,
    "payment_id": "returned",
}
EVENT = {"kind": "charged", "wallet_id": "w", "amount": -4, "at": T, "entry_id": "charge", "hold_id": "captured"}
USER = {
    "id": "u",
    "username": "alice",
    "email": "a@example.org",
    "username_key": "alice",
    "email_key": "a@example.org",
    "password_hash": "x",
    "role": "user",
    "wallet_id": "w",
    "created_at": T,
}
OTHER = USER | {"id": "other", "username_key": "bob", "email_key": "b@example.org", "wallet_id": "other"}
SESSION = {"id": "s", "user_id": "u", "created_at": T, "expires_at": T, "ended_at": None, "ended_because": None}
PAYMENT = {
    "id": "unpaid",
    "user_id": "u",
    "wallet_id": "w",
    "package": "small",
    "credits": 100,
    "price_hundredths": 499,
    "currency": "EUR",
    "provider": "sandbox",
    "created_at": T,
    "status": "pending",
    "confirmed_at": None,
    "balance_after": None,
    "refunded_at": None,
}
PAID = {"id": "paid", "status": "confirmed", "confirmed_at": T, "balance_after": 200}
KEY = {
    "user_id": "u",
    "key": "k",
    "fingerprint": "f",
    "created_at": T,
    "subject_id": "running",
    "refusal_required": None,
    "refusal_available": None,
}
API_KEY = {
    "id": "k",
    "user_id": "u",
    "name": "CI",
    "name_key": "ci",
    "digest": "d",
    "monthly_cap": 10,
    "created_at": T,
    "revoked_at": None,
    "last_used_at": None,
}
MONTH = {"api_key_id": "k", "starts_at": T, "ends_at": "2026-02-01T00:00:00.000000Z", "monthly_cap": 10, "used": 9}
WALLET = {"id": "w", "posted": 100, "held": 5, "version": 2, "overdraft": 0, "owner_kind": "user", "owner_id": "u"}
BOOKS: list[tuple[str, dict[str, Any]]] = [
    ("wallets", WALLET),
    ("wallets", WALLET | {"id": "other", "overdraft": 5}),
    ("wallets", WALLET | {"id": "unused"}),
    ("users", USER),
    ("users", OTHER),
    ("sessions", SESSION),
    ("refresh_tokens", {"digest": "d", "session_id": "s", "issued_at": T}),
    ("conversations", {"id": "c", "user_id": "u", "title": "t", "created_at": T, "updated_at": T}),
    ("holds", HOLD),
    ("holds", HOLD | {"id": "spare"}),
    ("holds", HOLD | {"id": "stopping"}),
    ("holds", HOLD | {"id": "captured", "state": "captured", "captured": 4, "settled_at": T}),
    ("interactions", RUNNING),
    ("interactions", RUNNING | {"id": "stopping", "hold_id": "stopping", "stop_asked_at": T}),
    ("interactions", RUNNING | {"id": "ended", "hold_id": "captured", "reply": "Hi"} | ENDED),
    ("payments", PAYMENT),
    ("payments", PAYMENT | PAID),
    ("payments", PAYMENT | PAID | {"id": "returned", "status": "refunded", "refunded_at": T}),
    ("payments", PAYMENT | {"id": "failed", "status": "failed"}),
    ("ledger_entries", ENTRY | GRANT | {"wallet_version": 1, "id": "grant", "amount": 104, "balance_after": 104}),
    ("ledger_entries", ENTRY),
    ("ledger_entries", ENTRY | BOUGHT),
    ("ledger_entries", ENTRY | RETURN | {"id": "return", "wallet_version": 5}),
    ("outbox", EVENT),
    ("idempotency_keys", KEY),
    ("api_keys", API_KEY),
    ("api_keys", API_KEY | {"id": "gone", "revoked_at": T, "revoked_by": "u", "revoked_why": "It leaked"}),
    ("api_key_months", MONTH),
]

TOO_MUCH = MAX_CREDITS + 1
NEW_WALLET = WALLET | {"id": "new", "held": 0}
NEW_USER = USER | {"id": "new", "username_key": "new", "email_key": "new", "wallet_id": "unused"}
NEW_SESSION = SESSION | {"id": "new"}
NEW_HOLD = HOLD | {"id": "new"}
NEW_INTERACTION = RUNNING | {"id": "new", "hold_id": "spare"}
NEW_ENDED = NEW_INTERACTION | ENDED
NEW_PAYMENT = PAYMENT | {"id": "new"}
NEW_ENTRY = ENTRY | GRANT | {"id": "new", "wallet_version": 4}
NEW_CHARGE = ENTRY | {"id": "new", "wallet_version": 4, "hold_id": "spare"}
NEW_BOUGHT = BOUGHT | {"id": "new", "wallet_version": 4}
NEW_RETURN = ENTRY | RETURN | {"id": "new", "wallet_version": 4, "payment_id": "paid"}
NEW_KEY = KEY | {"key": "new"}
NEW_API_KEY = API_KEY | {"id": "new", "name_key": "new"}
NEW_MONTH = MONTH | {"api_key_id": "gone"}

ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("ck_wallets_posted_in_bounds", "wallets", NEW_WALLET | {"posted": TOO_MUCH}),
    ("ck_wallets_held_not_negative", "wallets", NEW_WALLET | {"held": -1}),
    ("ck_wallets_available_within_overdraft", "wallets", NEW_WALLET | {"held": 101}),
    ("ck_wallets_available_within_overdraft", "wallets", NEW_WALLET | {"posted": -6, "overdraft": 5}),
    ("ck_wallets_overdraft_in_bounds", "wallets", NEW_WALLET | {"overdraft": -1}),
    ("ck_wallets_version_not_negative", "wallets", NEW_WALLET | {"version": -1}),
    ("ck_users_role_known", "users", NEW_USER | {"role": "king"}),
    ("ck_sessions_end_has_reason", "sessions", NEW_SESSION | {"ended_at": T}),
    ("ck_holds_amount_in_bounds", "holds", NEW_HOLD | {"amount": TOO_MUCH}),
    ("ck_holds_state_known", "holds", NEW_HOLD | {"state": "lost", "settled_at": T}),
    ("ck_holds_captured_within_amount", "holds", NEW_HOLD | {"state": "captured", "captured": 6, "settled_at": T}),
    (
        "ck_holds_refunded_within_captured",
        "holds",
        NEW_HOLD | {"state": "captured", "captured": 4, "refunded": 5, "settled_at": T},
    ),
    ("ck_holds_captured_when_captured", "holds", NEW_HOLD | {"state": "released", "captured": 1, "settled_at": T}),
    ("ck_holds_settled_when_not_pending", "holds", NEW_HOLD | {"settled_at": T}),
    ("a hold lasts 25 hours at most", "holds", NEW_HOLD | {"expires_at": "2026-01-02T13:00:04.000000Z"}),
    ("a hold lasts 25 hours at most", "holds", NEW_HOLD | {"expires_at": "9999-12-31T00:00:00.000000Z"}),
    ("a hold lasts 25 hours at most", "holds", NEW_HOLD | {"expires_at": "2026-01-01T11:59:59.000000Z"}),
    (
        "a hold lasts 25 hours at most|invalid input syntax",
        "holds",
        NEW_HOLD | {"expires_at": "soon"},
    ),
    (
        "a hold lasts 25 hours at most",
        "holds",
        NEW_HOLD | {"created_at": "infinity", "expires_at": "infinity"},
    ),
    *(
        (f"created_at must be a time in the years 1 to 9999: {table}", table, row | {"created_at": at})
        for at in ("infinity", "20000-01-01T12:00:00.000000Z")
        for table, row in (("ledger_entries", NEW_ENTRY), ("interactions", NEW_INTERACTION), ("payments", NEW_PAYMENT))
    ),
    ("ck_interactions_price_not_negative", "interactions", NEW_INTERACTION | {"price_per_1k_prompt_tokens": -1}),
    (
        "ck_interactions_held_not_negative|ck_interactions_charged_within_held",
        "interactions",
        NEW_INTERACTION | {"held": -1},
    ),
    ("ck_interactions_outcome_known", "interactions", NEW_ENDED | {"outcome": "lost", "credits_charged": 0}),
    ("ck_interactions_usage_not_negative", "interactions", NEW_INTERACTION | {"completion_tokens": -1}),
    ("ck_interactions_charged_within_held", "interactions", NEW_ENDED | {"credits_charged": 6}),
    ("ck_interactions_charged_for_a_reply", "interactions", NEW_ENDED | {"outcome": "failed"}),
    ("ck_interactions_finished_when_ended", "interactions", NEW_ENDED | {"finished_at": None}),
    ("ck_interactions_balance_when_ended", "interactions", NEW_ENDED | {"balance_after": None}),
    ("ck_interactions_time_when_ended", "interactions", NEW_ENDED | {"processing_time_ms": None}),
    ("ck_payments_credits_in_bounds", "payments", NEW_PAYMENT | {"credits": 0}),
    ("ck_payments_price_not_negative", "payments", NEW_PAYMENT | {"price_hundredths": -1}),
    ("ck_payments_status_known", "payments", NEW_PAYMENT | {"status": "lost"}),
    ("ck_payments_time_when_confirmed", "payments", NEW_PAYMENT | {"confirmed_at": T}),
    ("ck_payments_balance_when_confirmed", "payments", NEW_PAYMENT | {"balance_after": 1}),
    (
        "ck_payments_time_when_confirmed",
        "payments",
        NEW_PAYMENT | {"status": "refunded", "balance_after": 1, "refunded_at": T},
    ),
    ("ck_payments_balance_when_confirmed", "payments", NEW_PAYMENT | PAID | {"id": "new", "balance_after": None}),
    ("ck_payments_time_when_refunded", "payments", NEW_PAYMENT | {"refunded_at": T}),
    ("ck_payments_time_when_refunded", "payments", NEW_PAYMENT | PAID | {"id": "new", "status": "refunded"}),
    ("ck_ledger_entries_version_from_one", "ledger_entries", NEW_ENTRY | {"wallet_version": 0}),
    ("ck_ledger_entries_amount_in_bounds", "ledger_entries", NEW_ENTRY | {"amount": 0}),
    ("ck_ledger_entries_amount_in_bounds", "ledger_entries", NEW_ENTRY | {"amount": -4}),
    ("ck_ledger_entries_balance_in_bounds", "ledger_entries", NEW_ENTRY | {"balance_after": -TOO_MUCH}),
    ("ck_ledger_entries_accounts_fit_kind", "ledger_entries", NEW_ENTRY | {"debit": "wallet:w"}),
    ("ck_ledger_entries_accounts_fit_kind", "ledger_entries", NEW_ENTRY | {"credit": "wallet:other"}),
    ("ck_ledger_entries_accounts_fit_kind", "ledger_entries", NEW_ENTRY | {"kind": "gift"}),
    ("ck_ledger_entries_accounts_fit_kind", "ledger_entries", NEW_CHARGE | {"hold_id": None}),
    (
        "ck_ledger_entries_accounts_fit_kind",
        "ledger_entries",
        NEW_ENTRY | {"kind": "refund", "debit": "house:revenue"},
    ),
    (
        "ck_ledger_entries_top_up_has_payment",
        "ledger_entries",
        NEW_ENTRY | {"kind": "top_up", "debit": "house:payments"},
    ),
    ("ck_ledger_entries_top_up_has_payment", "ledger_entries", NEW_ENTRY | {"payment_id": "paid"}),
    (
        "ck_ledger_entries_by_hand_has_author",
        "ledger_entries",
        NEW_ENTRY | {"kind": "adjustment", "debit": "house:adjustments"},
    ),
    ("ck_ledger_entries_by_hand_has_author", "ledger_entries", NEW_RETURN | {"payment_id": None}),
    ("ck_ledger_entries_by_hand_has_author", "ledger_entries", NEW_RETURN | {"description": ""}),
    ("ck_ledger_entries_top_up_has_payment", "ledger_entries", NEW_RETURN | {"author": "u"}),
    (
        "ck_ledger_entries_top_up_has_payment",
        "ledger_entries",
        NEW_RETURN | {"debit": "house:adjustments", "credit": "wallet:w"},
    ),
    ("ck_ledger_entries_subject_is_whole", "ledger_entries", NEW_ENTRY | {"subject_id": "x"}),
    (
        "ck_ledger_entries_subject_is_another",
        "ledger_entries",
        NEW_ENTRY | {"subject_kind": "payment", "subject_id": "paid"},
    ),
    ("ck_ledger_entries_subject_is_one", "ledger_entries", NEW_RETURN | {"interaction_id": "ended"}),
    (
        "ck_ledger_entries_subject_is_one",
        "ledger_entries",
        NEW_CHARGE | {"subject_kind": "caption", "subject_id": "x"},
    ),
    ("ck_outbox_kind_known", "outbox", EVENT | {"kind": "lost"}),
    ("ck_outbox_subject_is_whole", "outbox", EVENT | {"subject_kind": "caption"}),
    ("(?i)foreign key", "outbox", EVENT | {"wallet_id": "none"}),
    ("ck_idempotency_keys_refusal_is_whole", "idempotency_keys", NEW_KEY | {"refusal_available": 1}),
    ("ck_idempotency_keys_answer_is_one", "idempotency_keys", NEW_KEY | {"subject_id": None}),
    ("ck_idempotency_keys_cap_refuses", "idempotency_keys", NEW_KEY | {"refusal_cap": 10}),
    (
        "ck_conversations_listed_is_yes_or_no|boolean",
        "conversations",
        {"id": "new", "user_id": "u", "title": "t", "created_at": T, "updated_at": T, "listed": 2},
    ),
    (
        "ck_interactions_cached_is_yes_or_no|boolean",
        "interactions",
        NEW_INTERACTION | {"cached": 2},
    ),
    ("ck_api_keys_cap_in_bounds", "api_keys", NEW_API_KEY | {"monthly_cap": 0}),
    ("ck_api_keys_revoked_by_when_revoked", "api_keys", NEW_API_KEY | {"revoked_by": "u"}),
    ("ck_api_keys_revoked_why_by_whom", "api_keys", NEW_API_KEY | {"revoked_at": T, "revoked_why": "It leaked"}),
    ("ck_api_key_months_ends_after_start", "api_key_months", NEW_MONTH | {"ends_at": T}),
    ("ck_api_key_months_used_not_negative", "api_key_months", NEW_MONTH | {"used": -1}),
    ("ck_api_key_months_used_within_cap", "api_key_months", NEW_MONTH | {"used": 11}),
    ("uq_api_keys_name_of_user|api_keys.name_key", "api_keys", NEW_API_KEY | {"name_key": "ci"}),
    ("pk_api_key_months|api_key_months.starts_at", "api_key_months", MONTH),
    (
        "uq_users_username_key|users.username_key",
        "users",
        NEW_USER | {"username_key": "alice"},
    ),
    ("uq_users_email_key|users.email_key", "users", NEW_USER | {"email_key": "a@example.org"}),
    ("uq_interactions_hold_id|interactions.hold_id", "interactions", NEW_INTERACTION | {"hold_id": "pending"}),
    ("pk_ledger_entries|ledger_entries.wallet_version", "ledger_entries", NEW_ENTRY | {"wallet_version": 2}),
    ("uq_ledger_entries_id|ledger_entries.id", "ledger_entries", NEW_ENTRY | {"id": "grant"}),
    (
        "uq_ledger_entries_charge_of_hold|ledger_entries.hold_id",
        "ledger_entries",
        NEW_CHARGE | {"hold_id": "captured"},
    ),
    ("uq_ledger_entries_top_up_of_payment|ledger_entries.payment_id", "ledger_entries", NEW_ENTRY | NEW_BOUGHT),
    (
        "uq_ledger_entries_return_of_payment|ledger_entries.payment_id",
        "ledger_entries",
        NEW_RETURN | {"payment_id": "returned"},
    ),
    ("uq_users_wallet_id|users.wallet_id", "users", NEW_USER | {"wallet_id": "w"}),
    ("(?i)foreign key", "users", NEW_USER | {"wallet_id": "none"}),
    ("(?i)foreign key", "holds", NEW_HOLD | {"wallet_id": "none"}),
    ("(?i)foreign key", "interactions", NEW_INTERACTION | {"hold_id": "none"}),
    ("(?i)foreign key", "ledger_entries", NEW_ENTRY | {"interaction_id": "none"}),
    ("(?i)foreign key", "interactions", NEW_INTERACTION | {"api_key_id": "none"}),
    ("(?i)foreign key", "api_keys", NEW_API_KEY | {"revoked_at": T, "revoked_by": "none"}),
    ("(?i)foreign key", "api_key_months", NEW_MONTH | {"api_key_id": "none"}),
    ("(?i)not.null", "holds", NEW_HOLD | {"amount": None}),
    *(("(?i)not.null", "holds", NEW_HOLD | {name: None}) for name in ("subject_kind", "subject_id", "purpose")),
    *(("(?i)not.null", "wallets", NEW_WALLET | {name: None}) for name in ("owner_kind", "owner_id")),
]

CHANGES = [
    ("a ledger entry never changes", "UPDATE ledger_entries SET amount = 1 WHERE id = 'charge'"),
    ("a ledger entry never changes", "UPDATE ledger_entries SET description = 'x'"),
    ("a ledger entry is never deleted", "DELETE FROM ledger_entries WHERE id = 'charge'"),
    ("a wallet is never deleted", "DELETE FROM wallets"),
    ("whose wallet it is never changes", "UPDATE users SET wallet_id = 'unused' WHERE id = 'u'"),
    ("whose wallet it is never changes", "UPDATE users SET wallet_id = 'w' WHERE id = 'other'"),
    ("whose wallet it is never changes", "UPDATE users SET id = 'x' WHERE id = 'other'"),
    ("a user is disabled, never deleted", "DELETE FROM users WHERE id = 'other'"),
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
    ("what a payment is for never changes", "UPDATE payments SET credits = 1 WHERE id = 'unpaid'"),
    ("an idempotency key never expires", "DELETE FROM idempotency_keys"),
    ("what an idempotency key stands for", "UPDATE idempotency_keys SET subject_id = 'x'"),
    ("which API key an interaction came with", "UPDATE interactions SET api_key_id = 'k' WHERE id = 'running'"),
    ("an API key is revoked, never deleted", "DELETE FROM api_keys WHERE id = 'gone'"),
    ("what an API key is and may do", "UPDATE api_keys SET monthly_cap = NULL WHERE id = 'k'"),
    ("what an API key is and may do", "UPDATE api_keys SET digest = 'x' WHERE id = 'k'"),
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
    "DELETE FROM sessions",
    "UPDATE api_keys SET revoked_at = created_at, revoked_by = 'u', last_used_at = created_at WHERE id = 'k'",
    "UPDATE api_key_months SET used = 10",
]


def _replaced(table: str, id_: str, **changes: Any) -> str:
    """The row once more, changed, in place of whatever stands in its way."""
    old: dict[str, Any] = next(row for name, row in BOOKS if name == table and row["id"] == id_)
    row = old | changes
    values = ", ".join("NULL" if value is None else repr(value) for value in row.values())
    return f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({values})"  # noqa: S608 - a test's own words


_AGAIN = "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"
_NEW_NAMES = {"id": "x", "username_key": "x", "email_key": "x", "wallet_id": "unused"}
_NEW = {"id": "x", "wallet_version": 7}
REPLACING = [
    *(
        (f"a row is never replaced: {table}", _AGAIN.format(table))
        for table in (
            "wallets",
            "users",
            "holds",
            "interactions",
            "payments",
            "ledger_entries",
            "api_keys",
            "api_key_months",
            "outbox",
        )
    ),
    (
        "a row is never replaced: ledger_entries.payment_id",
        _replaced("ledger_entries", "return", **_NEW),
    ),
    ("a row is never replaced: ledger_entries.id", _replaced("ledger_entries", "charge", wallet_version=7)),
    (
        "a row is never replaced: ledger_entries.hold_id",
        _replaced("ledger_entries", "charge", **_NEW),
    ),
    (
        "a row is never replaced: ledger_entries.payment_id",
        _replaced("ledger_entries", "bought", **_NEW),
    ),
    ("a row is never replaced: interactions.hold_id", _replaced("interactions", "ended", id="x")),
    ("a row is never replaced: interactions.rowid", _replaced("interactions", "ended", rowid=1, id="x", hold_id="x")),
    *(
        (f"a row is never replaced: users.{key}", _replaced("users", "u", **_NEW_NAMES | {key: taken}))
        for key, taken in (
            ("username_key", "bob"),
            ("email_key", "b@example.org"),
            ("wallet_id", "other"),
            ("rowid", 2),
        )
    ),
    (
        "a row is never replaced: users.username_key",
        "UPDATE OR REPLACE users SET username_key = 'bob' WHERE id = 'u'",
    ),
    (
        "a row is never replaced: users.email_key",
        "UPDATE OR REPLACE users SET email_key = 'b@example.org' WHERE id = 'u'",
    ),
    ("the number of a row never changes: users", "UPDATE OR REPLACE users SET _rowid_ = 1 WHERE id = 'other'"),
    ("a row is never replaced: payments.rowid", _replaced("payments", "paid", rowid=1, id="x")),
    ("a row is never replaced: api_keys.user_id, api_keys.name_key", _replaced("api_keys", "k", id="x")),
    (
        "the number of a row never changes: interactions",
        "UPDATE OR REPLACE interactions SET rowid = 1 WHERE id = 'ended'",
    ),
    ("the number of a row never changes: payments", "UPDATE OR REPLACE payments SET oid = 1 WHERE id = 'paid'"),
    (
        "a row is never replaced: wallets",
        (
            "INSERT INTO wallets SELECT * FROM wallets WHERE true"
            " ON CONFLICT (id) DO UPDATE SET overdraft = overdraft + 1"
        ),
    ),
    (
        "",
        (
            "INSERT OR REPLACE INTO idempotency_keys (user_id, key, fingerprint, created_at, subject_id)"
            " SELECT user_id, key, 'x', created_at, 'x' FROM idempotency_keys"
        ),
    ),
]
"""What an SQLite shell could do; without words it does nothing, as a key that is there already is no error."""


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


@pytest.mark.parametrize(("rule", "table", "row"), ROWS, ids=[rule for rule, _, _ in ROWS])
def test_a_row_that_breaks_a_rule_is_refused_by_name(
    connection: Connection, rule: str, table: str, row: dict[str, Any]
) -> None:
    with pytest.raises(DatabaseError, match=rule):
        insert(connection, table, row)


def test_a_hold_lasts_as_long_as_the_settings_can_ask_for(connection: Connection) -> None:
    names = ("generation_timeout_s", "hold_grace_s")
    bounds = [bound for name in names for bound in Settings.model_fields[name].metadata if isinstance(bound, Le)]
    assert [bound.le for bound in bounds] == [86_400, MAX_HOLD_S - 86_400]
    insert(connection, "holds", NEW_HOLD | {"expires_at": "2026-01-02T13:00:00.000000Z"})


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


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled SQLite database, for programs that are not chatbill."""
    folder = tmp_path_factory.mktemp("replaced")
    with sqlite_engine(folder) as engine, engine.begin() as connection:
        for table, row in BOOKS:
            insert(connection, table, row)
        return Path(str(engine.url.database))


@pytest.mark.parametrize(("words", "sql"), REPLACING, ids=range(len(REPLACING)))
def test_whatever_program_replaces_a_row_of_sqlite_is_refused(file: Path, words: str, sql: str) -> None:
    """Such a program looks after neither references nor triggers of triggers."""

    shell = load_driver().connect(file, isolation_level=None)

    def rows() -> list[list[Any]]:
        return [shell.execute(f"SELECT * FROM {table}").fetchall() for table in metadata.tables]  # noqa: S608

    shell.execute("BEGIN")
    before = rows()
    try:
        if words:
            with pytest.raises(load_driver().IntegrityError, match=words):
                shell.execute(sql)
        else:
            shell.execute(sql)
        assert rows() == before
    finally:
        shell.close()


def test_sqlite_keeps_no_text_where_a_number_belongs(tmp_path: Path) -> None:
    with (
        sqlite_engine(tmp_path) as engine,
        engine.connect() as connection,
        pytest.raises(DatabaseError, match=r"cannot store TEXT value in INTEGER column wallets\.posted"),
    ):
        insert(connection, "wallets", WALLET | {"posted": "much"})


def test_every_rule_of_the_tables_is_tried_here() -> None:
    checks = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert checks <= {name for rule, _, _ in ROWS for name in rule.split("|")}
    triggers = [sql for sql in sqlite_objects(empty_database()).values() if sql.startswith("CREATE TRIGGER")]
    assert triggers
    tried = {words for words, _ in CHANGES + REPLACING if words} | {rule.partition("|")[0] for rule, _, _ in ROWS}
    tried.add("RAISE(IGNORE)")
    assert [sql for sql in triggers if not any(words in sql for words in tried)] == []


def test_domain_and_database_agree_on_the_most_that_can_be_owned() -> None:
    assert MAX_CREDITS == DOMAIN_MAX_CREDITS
