"""The tables, as the repositories know them; the migrations build the same, and a test compares the two.

What the domain decides, constraints forbid to break. Rules over time, such as "a hold is settled once", are
triggers of the migrations.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, Text, text

from chatbill.adapters.persistence.sql.types import Count, Flag, Id, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

MAX_CREDITS = 1_000_000_000_000_000
"""As `domain.ledger.MAX_CREDITS`, which a test compares."""


def _table(name: str, *items: Column[Any] | CheckConstraint | Index, with_rowid: bool = True) -> Table:
    """Small rows that are found by their key alone do without SQLite's row numbers, which saves a tree of pages."""
    return Table(name, metadata, *items, sqlite_strict=True, sqlite_with_rowid=with_rowid)


def _check(name: str, rule: str) -> CheckConstraint:
    return CheckConstraint(rule, name=name)


wallets = _table(
    "wallets",
    Column("id", Id, primary_key=True),
    Column("posted", Count, nullable=False),
    Column("held", Count, nullable=False),
    Column("version", Count, nullable=False),
    Column("overdraft", Count, nullable=False),
    _check("posted_in_bounds", f"posted <= {MAX_CREDITS}"),
    _check("held_not_negative", "held >= 0"),
    _check("available_within_overdraft", "posted - held >= -overdraft"),
    _check("overdraft_in_bounds", f"overdraft BETWEEN 0 AND {MAX_CREDITS}"),
    _check("version_not_negative", "version >= 0"),
    with_rowid=False,
)

users = _table(
    "users",
    Column("id", Id, primary_key=True),
    Column("username", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),
    Column("email_key", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("wallet_id", Id, ForeignKey("wallets.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
    _check("role_known", "role IN ('user', 'admin')"),
    Index("uq_users_wallet_id", "wallet_id", unique=True),
)

sessions = _table(
    "sessions",
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("ended_at", UtcDateTime),
    Column("ended_because", Text),
    _check("end_has_reason", "(ended_at IS NULL) = (ended_because IS NULL)"),
    with_rowid=False,
)

refresh_tokens = _table(
    "refresh_tokens",
    Column("digest", Text, primary_key=True),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("spent_at", UtcDateTime),
    with_rowid=False,
)

conversations = _table(
    "conversations",
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Column("listed", Flag, nullable=False, server_default=text("true")),
    _check("listed_is_yes_or_no", "listed IN (true, false)"),
    # Programs make a conversation with each request; they stay out of the way of those that people look through.
    Index(
        "ix_conversations_listed",
        "user_id",
        "updated_at",
        "id",
        sqlite_where=text("listed"),
        postgresql_where=text("listed"),
    ),
    with_rowid=False,
)

api_keys = _table(
    "api_keys",
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("monthly_cap", Count),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("revoked_by", Id, ForeignKey("users.id")),
    Column("revoked_why", Text),
    _check("revoked_by_when_revoked", "revoked_by IS NULL OR revoked_at IS NOT NULL"),
    _check("revoked_why_by_whom", "revoked_why IS NULL OR revoked_by IS NOT NULL"),
    _check("cap_in_bounds", f"monthly_cap BETWEEN 1 AND {MAX_CREDITS}"),
    Index(
        "uq_api_keys_name_of_user",
        "user_id",
        "name_key",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
    with_rowid=False,
)

api_key_months = _table(
    "api_key_months",
    Column("api_key_id", Id, ForeignKey("api_keys.id"), primary_key=True),
    Column("starts_at", UtcDateTime, primary_key=True),
    Column("ends_at", UtcDateTime, nullable=False),
    # A copy of the key's, so that the rule below can be said here.
    Column("monthly_cap", Count),
    Column("used", Count, nullable=False),
    _check("ends_after_start", "starts_at < ends_at"),
    _check("used_not_negative", "used >= 0"),
    _check("used_within_cap", "used <= monthly_cap"),
    with_rowid=False,
)

holds = _table(
    "holds",
    Column("id", Id, primary_key=True),
    Column("wallet_id", Id, ForeignKey("wallets.id"), nullable=False),
    Column("amount", Count, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("captured", Count, nullable=False),
    Column("refunded", Count, nullable=False),
    Column("settled_at", UtcDateTime),
    _check("amount_in_bounds", f"amount BETWEEN 0 AND {MAX_CREDITS}"),
    _check("state_known", "state IN ('pending', 'captured', 'released')"),
    _check("captured_within_amount", "captured BETWEEN 0 AND amount"),
    _check("refunded_within_captured", "refunded BETWEEN 0 AND captured"),
    _check("captured_when_captured", "(captured > 0) = (state = 'captured')"),
    _check("settled_when_not_pending", "(settled_at IS NULL) = (state = 'pending')"),
    Index(
        "ix_holds_pending",
        "expires_at",
        "id",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    with_rowid=False,
)

interactions = _table(
    "interactions",
    Column("id", Id, primary_key=True),
    Column("conversation_id", Id, ForeignKey("conversations.id"), nullable=False),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("wallet_id", Id, ForeignKey("wallets.id"), nullable=False),
    Column("hold_id", Id, ForeignKey("holds.id"), nullable=False, unique=True),
    Column("model", Text, nullable=False),
    Column("price_per_reply", Count, nullable=False),
    Column("price_per_1k_prompt_tokens", Count, nullable=False),
    Column("price_per_1k_completion_tokens", Count, nullable=False),
    Column("held", Count, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("prompt_tokens", Count, nullable=False),
    Column("completion_tokens", Count, nullable=False),
    Column("credits_charged", Count, nullable=False),
    Column("balance_after", Count),
    Column("processing_time_ms", Count),
    Column("finished_at", UtcDateTime),
    Column("error_code", Text),
    Column("error_detail", Text),
    # Long texts come last, so that SQLite finds the figures without reading past them.
    Column("prompt", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("api_key_id", Id, ForeignKey("api_keys.id")),
    Column("cached", Flag, nullable=False, server_default=text("false")),
    # A wish for the process that writes the reply; see docs/decisions/0009.
    Column("stop_asked_at", UtcDateTime),
    _check(
        "price_not_negative",
        "price_per_reply >= 0 AND price_per_1k_prompt_tokens >= 0 AND price_per_1k_completion_tokens >= 0",
    ),
    _check("held_not_negative", "held >= 0"),
    _check("outcome_known", "outcome IN ('running', 'completed', 'stopped', 'failed', 'timed_out', 'interrupted')"),
    _check("usage_not_negative", "prompt_tokens >= 0 AND completion_tokens >= 0"),
    _check("charged_within_held", "credits_charged BETWEEN 0 AND held"),
    _check("charged_for_a_reply", "credits_charged = 0 OR outcome IN ('completed', 'stopped')"),
    _check("finished_when_ended", "(finished_at IS NULL) = (outcome = 'running')"),
    _check("balance_when_ended", "(balance_after IS NULL) = (outcome = 'running')"),
    _check("time_when_ended", "(processing_time_ms IS NULL) = (outcome = 'running')"),
    _check("cached_is_yes_or_no", "cached IN (true, false)"),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "conversation_id", "created_at", "id"),
    Index(
        "ix_interactions_of_api_key",
        "api_key_id",
        "created_at",
        sqlite_where=text("api_key_id IS NOT NULL"),
        postgresql_where=text("api_key_id IS NOT NULL"),
    ),
)

payments = _table(
    "payments",
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False, index=True),
    Column("wallet_id", Id, ForeignKey("wallets.id"), nullable=False),
    Column("package", Text, nullable=False),
    Column("credits", Count, nullable=False),
    # Money has two decimals, so whole hundredths are exact and can be summed by any database.
    Column("price_hundredths", Count, nullable=False),
    Column("currency", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("confirmed_at", UtcDateTime),
    Column("balance_after", Count),
    _check("credits_in_bounds", f"credits BETWEEN 1 AND {MAX_CREDITS}"),
    _check("price_not_negative", "price_hundredths >= 0"),
    _check("status_known", "status IN ('pending', 'confirmed')"),
    _check("time_when_confirmed", "(confirmed_at IS NOT NULL) = (status = 'confirmed')"),
    _check("balance_when_confirmed", "(balance_after IS NOT NULL) = (status = 'confirmed')"),
)

ledger_entries = _table(
    "ledger_entries",
    # A wallet's entries lie side by side, in the order in which they are read.
    Column("wallet_id", Id, ForeignKey("wallets.id"), primary_key=True),
    Column("wallet_version", Count, primary_key=True, autoincrement=False),
    Column("id", Id, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", Count, nullable=False),
    Column("balance_after", Count, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("hold_id", Id, ForeignKey("holds.id")),
    Column("interaction_id", Id, ForeignKey("interactions.id")),
    Column("payment_id", Id, ForeignKey("payments.id")),
    Column("author", Id, ForeignKey("users.id")),
    _check("version_from_one", "wallet_version >= 1"),
    _check("amount_in_bounds", f"amount BETWEEN 1 AND {MAX_CREDITS}"),
    _check("balance_in_bounds", f"balance_after BETWEEN -{MAX_CREDITS} AND {MAX_CREDITS}"),
    _check(
        "accounts_fit_kind",
        "CASE kind"
        " WHEN 'charge' THEN debit = 'wallet:' || wallet_id AND credit = 'house:revenue' AND hold_id IS NOT NULL"
        " WHEN 'refund' THEN debit = 'house:revenue' AND credit = 'wallet:' || wallet_id AND hold_id IS NOT NULL"
        " WHEN 'grant' THEN debit = 'house:promotions' AND credit = 'wallet:' || wallet_id"
        " WHEN 'top_up' THEN debit = 'house:payments' AND credit = 'wallet:' || wallet_id"
        " WHEN 'adjustment' THEN (debit = 'house:adjustments' AND credit = 'wallet:' || wallet_id)"
        " OR (debit = 'wallet:' || wallet_id AND credit = 'house:adjustments')"
        " ELSE 1 = 0 END",
    ),
    Index(
        "uq_ledger_entries_charge_of_hold",
        "hold_id",
        unique=True,
        sqlite_where=text("kind = 'charge'"),
        postgresql_where=text("kind = 'charge'"),
    ),
    _check("top_up_has_payment", "(kind = 'top_up') = (payment_id IS NOT NULL)"),
    _check(
        "by_hand_has_author",
        "kind NOT IN ('adjustment', 'refund') OR (author IS NOT NULL AND description <> '')",
    ),
    Index(
        "uq_ledger_entries_top_up_of_payment",
        "payment_id",
        unique=True,
        sqlite_where=text("kind = 'top_up'"),
        postgresql_where=text("kind = 'top_up'"),
    ),
    Index(
        "ix_ledger_entries_refund_of_hold",
        "hold_id",
        sqlite_where=text("kind = 'refund'"),
        postgresql_where=text("kind = 'refund'"),
    ),
    with_rowid=False,
)

idempotency_keys = _table(
    "idempotency_keys",
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("subject_id", Id),
    Column("refusal_required", Count),
    Column("refusal_available", Count),
    Column("refusal_cap", Count),
    _check("refusal_is_whole", "(refusal_required IS NULL) = (refusal_available IS NULL)"),
    _check("answer_is_one", "(subject_id IS NULL) <> (refusal_required IS NULL)"),
    _check("cap_refuses", "refusal_cap IS NULL OR refusal_required IS NOT NULL"),
    with_rowid=False,
)

# Always empty; see `repositories.write_checks`.
write_checks = _table(
    "write_checks",
    Column("id", Id, primary_key=True),
    Column("padding", Text, nullable=False),
    with_rowid=False,
)
