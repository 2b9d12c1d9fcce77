"""One row of each kind as the domain writes it, and new rows to change."""

from __future__ import annotations

from typing import Any

from chatbill.adapters.persistence.sql.tables import MAX_CREDITS

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
ERASED = OTHER | {"id": "erased", "username_key": "erased", "email_key": "erased", "wallet_id": "gone"}
ERASED |= {"disabled_at": T, "erased_at": T}
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
FACTOR = {
    "user_id": "u",
    "sealed_secret": "s",
    "created_at": T,
    "confirmed_at": T,
    "last_step": 7,
    "recovery_digests": "one two",
}
CODE = {"id": "code", "digest": "d", "credits": 50, "uses": 2, "created_at": T, "created_by": "u", "expires_at": None}
REDEEMED = GRANT | {"subject_kind": "redeem_code", "subject_id": "code"}
RECORD = {"id": "record", "at": T, "action": "code.made", "actor": "u", "before": "{}", "after": "{}"}
MONTH = {"api_key_id": "k", "starts_at": T, "ends_at": "2026-02-01T00:00:00.000000Z", "monthly_cap": 10, "used": 9}
JOB = {
    "id": "j",
    "kind": "a",
    "parameters": "{}",
    "period": "p",
    "created_at": T,
    "due_at": T,
    "state": "queued",
    "attempts": 0,
    "claim": None,
    "error": None,
    "finished_at": None,
}
ALERT = {
    "id": "a",
    "kind": "disk_full",
    "subject": "here",
    "source": "store",
    "severity": "critical",
    "evidence": "{}",
    "opened_at": T,
    "seen_at": T,
    "notified_at": T,
    "times": 1,
    "closed_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
}
WALLET = {"id": "w", "posted": 100, "held": 5, "version": 2, "overdraft": 0, "owner_kind": "user", "owner_id": "u"}
BOOKS: list[tuple[str, dict[str, Any]]] = [
    ("wallets", WALLET),
    ("wallets", WALLET | {"id": "other", "overdraft": 5}),
    ("wallets", WALLET | {"id": "unused"}),
    ("wallets", WALLET | {"id": "gone", "owner_id": "erased"}),
    ("users", USER),
    ("users", ERASED),
    ("users", OTHER),
    ("sessions", SESSION),
    ("refresh_tokens", {"digest": "d", "session_id": "s", "issued_at": T}),
    ("second_factors", FACTOR),
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
    ("ledger_entries", ENTRY | REDEEMED | {"wallet_version": 6, "id": "redeemed"}),
    ("outbox", EVENT),
    ("redeem_codes", CODE),
    ("redeem_codes", CODE | {"id": "withdrawn", "digest": "e", "withdrawn_at": T, "withdrawn_by": "u"}),
    ("audit_trail", RECORD),
    ("idempotency_keys", KEY),
    ("api_keys", API_KEY),
    ("api_keys", API_KEY | {"id": "gone", "revoked_at": T, "revoked_by": "u", "revoked_why": "It leaked"}),
    ("api_key_months", MONTH),
    ("jobs", JOB),
    ("alerts", ALERT),
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
NEW_CODE = CODE | {"id": "new", "digest": "new"}
NEW_FACTOR = FACTOR | {"user_id": "other"}
NEW_RECORD = RECORD | {"id": "new"}
NEW_JOB = JOB | {"id": "new", "period": None}
NEW_ALERT = ALERT | {"id": "new", "subject": "there"}
NEW_MONTH = MONTH | {"api_key_id": "gone"}
