"""Rows that break a rule are refused by the database itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from chatbill.domain.billing.holds import MAX_HOLD_S
from chatbill.settings import Settings
from tests.adapters.persistence.sql.databases import insert, sqlite_engine
from tests.adapters.persistence.sql.rules.books import (
    ALERT,
    EVENT,
    MONTH,
    NEW_ALERT,
    NEW_API_KEY,
    NEW_BOUGHT,
    NEW_CHARGE,
    NEW_CODE,
    NEW_ENDED,
    NEW_ENTRY,
    NEW_FACTOR,
    NEW_HOLD,
    NEW_INTERACTION,
    NEW_JOB,
    NEW_KEY,
    NEW_MONTH,
    NEW_PAYMENT,
    NEW_RECORD,
    NEW_RETURN,
    NEW_SESSION,
    NEW_USER,
    NEW_WALLET,
    PAID,
    TOO_MUCH,
    WALLET,
    T,
)

ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("ck_wallets_posted_in_bounds", "wallets", NEW_WALLET | {"posted": TOO_MUCH}),
    ("ck_wallets_held_not_negative", "wallets", NEW_WALLET | {"held": -1}),
    ("ck_wallets_available_within_overdraft", "wallets", NEW_WALLET | {"held": 101}),
    ("ck_wallets_available_within_overdraft", "wallets", NEW_WALLET | {"posted": -6, "overdraft": 5}),
    ("ck_wallets_overdraft_in_bounds", "wallets", NEW_WALLET | {"overdraft": -1}),
    ("ck_wallets_version_not_negative", "wallets", NEW_WALLET | {"version": -1}),
    ("ck_users_role_known", "users", NEW_USER | {"role": "king"}),
    ("ck_users_password_link_expires", "users", NEW_USER | {"password_link": "digest"}),
    ("ck_users_password_link_expires", "users", NEW_USER | {"password_link_expires_at": T}),
    *(
        ("ck_users_limits_not_negative", "users", NEW_USER | {name: -1})
        for name in ("limit_day", "limit_month", "low_balance")
    ),
    ("ck_users_email_link_expires", "users", NEW_USER | {"email_link": "digest"}),
    ("ck_users_welcome_due_is_yes_or_no|boolean", "users", NEW_USER | {"welcome_due": 2}),
    ("ck_users_disabled_when_erased", "users", NEW_USER | {"erased_at": T}),
    (
        "ck_second_factors_recovery_when_confirmed",
        "second_factors",
        NEW_FACTOR | {"confirmed_at": None},
    ),
    ("ck_redeem_codes_credits_in_bounds", "redeem_codes", NEW_CODE | {"credits": 0}),
    ("ck_redeem_codes_uses_in_bounds", "redeem_codes", NEW_CODE | {"uses": 10_001}),
    ("ck_redeem_codes_withdrawn_by_whom", "redeem_codes", NEW_CODE | {"withdrawn_at": T}),
    ("uq_redeem_codes_digest|redeem_codes", "redeem_codes", NEW_CODE | {"digest": "d"}),
    (
        "uq_ledger_entries_code_of_wallet|a code is redeemed once",
        "ledger_entries",
        NEW_ENTRY | {"subject_kind": "redeem_code", "subject_id": "code"},
    ),
    ("ck_audit_trail_subject_is_whole", "audit_trail", NEW_RECORD | {"subject_kind": "user"}),
    ("ck_audit_trail_reason_is_short", "audit_trail", NEW_RECORD | {"reason": ""}),
    ("ck_audit_trail_reason_is_short", "audit_trail", NEW_RECORD | {"reason": "x" * 501}),
    ("ck_audit_trail_counts_not_negative", "audit_trail_counts", {"id": "new", "records": -1}),
    ("(?i)foreign key", "audit_trail", NEW_RECORD | {"actor": "none"}),
    ("(?i)foreign key", "redeem_codes", NEW_CODE | {"created_by": "none"}),
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
    ("ck_payments_bonus_in_bounds", "payments", NEW_PAYMENT | {"bonus": -1}),
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
    ("ck_jobs_state_known", "jobs", NEW_JOB | {"state": "lost"}),
    ("ck_jobs_attempts_not_negative", "jobs", NEW_JOB | {"attempts": -1}),
    ("ck_jobs_claim_while_running", "jobs", NEW_JOB | {"state": "running"}),
    ("ck_jobs_claim_while_running", "jobs", NEW_JOB | {"claim": "c"}),
    ("ck_jobs_finished_when_ended", "jobs", NEW_JOB | {"state": "done"}),
    ("ck_jobs_finished_when_ended", "jobs", NEW_JOB | {"finished_at": T}),
    ("ck_jobs_error_is_short", "jobs", NEW_JOB | {"error": "x" * 201}),
    ("(?i)unique", "jobs", NEW_JOB | {"period": "p"}),
    ("ck_alerts_severity_known", "alerts", NEW_ALERT | {"severity": "mild"}),
    ("ck_alerts_times_from_one", "alerts", NEW_ALERT | {"times": 0}),
    ("ck_alerts_acknowledged_by_somebody", "alerts", NEW_ALERT | {"acknowledged_at": T}),
    ("(?i)unique", "alerts", ALERT | {"id": "new"}),
    ("(?i)foreign key", "alerts", NEW_ALERT | {"acknowledged_at": T, "acknowledged_by": "none"}),
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
        "ck_conversations_branched_is_yes_or_no|boolean",
        "conversations",
        {"id": "new", "user_id": "u", "title": "t", "created_at": T, "updated_at": T, "branched": 2},
    ),
    (
        "ck_conversations_pinned_is_yes_or_no|boolean",
        "conversations",
        {"id": "new", "user_id": "u", "title": "t", "created_at": T, "updated_at": T, "pinned": 2},
    ),
    ("ck_interactions_temporary_is_yes_or_no|boolean", "interactions", NEW_INTERACTION | {"temporary": 2}),
    ("ck_interactions_temporary_without_texts", "interactions", NEW_INTERACTION | {"temporary": True}),
    (
        "ck_interactions_cached_is_yes_or_no|boolean",
        "interactions",
        NEW_INTERACTION | {"cached": 2},
    ),
    ("ck_api_keys_cap_in_bounds", "api_keys", NEW_API_KEY | {"monthly_cap": 0}),
    ("ck_api_keys_scopes_not_empty", "api_keys", NEW_API_KEY | {"scopes": ""}),
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


def test_sqlite_keeps_no_text_where_a_number_belongs(tmp_path: Path) -> None:
    with (
        sqlite_engine(tmp_path) as engine,
        engine.connect() as connection,
        pytest.raises(DatabaseError, match=r"cannot store TEXT value in INTEGER column wallets\.posted"),
    ):
        insert(connection, "wallets", WALLET | {"posted": "much"})
