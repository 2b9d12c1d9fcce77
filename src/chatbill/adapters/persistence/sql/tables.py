"""The tables, as the repositories know them; the migrations build the same, and a test compares the two.

What the domain decides, constraints forbid to break. Rules over time, such as "a hold is settled once", are
triggers of the migrations.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Identity, Index, Text, text

from chatbill.adapters.persistence.sql.account_tables import (
    api_key_months,
    api_keys,
    audit_trail,
    audit_trail_counts,
    refresh_tokens,
    second_factors,
    sessions,
    users,
)
from chatbill.adapters.persistence.sql.columns import CHANGES, changing, check, columns, key, partial, reference, refers
from chatbill.adapters.persistence.sql.metadata import MAX_CREDITS, metadata, table
from chatbill.adapters.persistence.sql.monitoring_tables import alerts, jobs
from chatbill.adapters.persistence.sql.report_tables import report_movements, report_notes, report_rollups
from chatbill.adapters.persistence.sql.types import Count, CurrentTransaction, Flag, Id, UtcDateTime
from chatbill.domain.billing.codes import MAX_USES
from chatbill.domain.billing.subjects import CODE

__all__ = [
    "MAX_CREDITS",
    "alerts",
    "api_key_months",
    "api_keys",
    "audit_trail",
    "audit_trail_counts",
    "compatibility",
    "conversations",
    "holds",
    "idempotency_keys",
    "instances",
    "interactions",
    "jobs",
    "ledger_entries",
    "metadata",
    "outbox",
    "payments",
    "redeem_codes",
    "refresh_tokens",
    "report_movements",
    "report_notes",
    "report_rollups",
    "second_factors",
    "sessions",
    "users",
    "wallets",
    "write_checks",
]

wallets = table(
    "wallets",
    key(),
    *changing(Count, "posted", "held", "version", "overdraft"),
    *reference("owner"),
    check("posted_in_bounds", f"posted <= {MAX_CREDITS}"),
    check("held_not_negative", "held >= 0"),
    check("available_within_overdraft", "posted - held >= -overdraft"),
    check("overdraft_in_bounds", f"overdraft BETWEEN 0 AND {MAX_CREDITS}"),
    check("version_not_negative", "version >= 0"),
    with_rowid=False,
)

conversations = table(
    "conversations",
    key(),
    refers("user_id", "users"),
    *changing(Text, "title"),
    *columns(UtcDateTime, "created_at"),
    *changing(UtcDateTime, "updated_at"),
    *changing(UtcDateTime, "deleted_at", null=True),
    Column("listed", Flag, nullable=False, server_default=text("true")),
    Column("branched", Flag, nullable=False, server_default=text("false"), info=CHANGES),
    Column("pinned", Flag, nullable=False, server_default=text("false"), info=CHANGES),
    check("listed_is_yes_or_no", "listed IN (true, false)"),
    check("branched_is_yes_or_no", "branched IN (true, false)"),
    check("pinned_is_yes_or_no", "pinned IN (true, false)"),
    # Programs make a conversation with each request; they stay out of the way of those that people look through.
    partial("ix_conversations_listed", "user_id", "updated_at", "id", where="listed"),
    partial("ix_conversations_pinned", "user_id", "updated_at", "id", where="pinned"),
    with_rowid=False,
)

holds = table(
    "holds",
    key(),
    refers("wallet_id", "wallets"),
    *columns(Count, "amount"),
    *columns(UtcDateTime, "created_at", "expires_at"),
    *changing(Text, "state"),
    *changing(Count, "captured"),
    *columns(Count, "refunded"),
    *changing(UtcDateTime, "settled_at", null=True),
    *reference("subject"),
    *columns(Text, "purpose"),
    # The process that does the work; it is in `instances` while its lease is renewed, and for a while after that.
    *columns(Id, "instance_id", null=True),
    check("amount_in_bounds", f"amount BETWEEN 0 AND {MAX_CREDITS}"),
    check("state_known", "state IN ('pending', 'captured', 'released')"),
    check("captured_within_amount", "captured BETWEEN 0 AND amount"),
    check("refunded_within_captured", "refunded BETWEEN 0 AND captured"),
    check("captured_when_captured", "(captured > 0) = (state = 'captured')"),
    check("settled_when_not_pending", "(settled_at IS NULL) = (state = 'pending')"),
    partial("ix_holds_pending", "expires_at", "id", where="state = 'pending'"),
    with_rowid=False,
)

_PRICE = ("price_per_reply", "price_per_1k_prompt_tokens", "price_per_1k_completion_tokens")

interactions = table(
    "interactions",
    key(),
    refers("conversation_id", "conversations"),
    refers("user_id", "users"),
    refers("wallet_id", "wallets"),
    refers("hold_id", "holds", unique=True),
    *columns(Text, "model"),
    *columns(Count, *_PRICE, "held"),
    *columns(UtcDateTime, "created_at"),
    *changing(Text, "outcome"),
    *changing(Count, "prompt_tokens", "completion_tokens", "credits_charged"),
    *changing(Count, "balance_after", "processing_time_ms", null=True),
    *changing(UtcDateTime, "finished_at", null=True),
    *changing(Text, "error_code", "error_detail", null=True),
    # Long texts come last, so that SQLite finds the figures without reading past them.
    *columns(Text, "prompt"),
    *changing(Text, "reply"),
    refers("api_key_id", "api_keys", null=True),
    Column("cached", Flag, nullable=False, server_default=text("false")),
    # A wish for the process that writes the reply; see docs/decisions/0009.
    *columns(UtcDateTime, "stop_asked_at", null=True),
    *changing(Count, "first_token_ms", null=True),
    refers("parent_id", "interactions", null=True),
    Column("temporary", Flag, nullable=False, server_default=text("false")),
    check("price_not_negative", " AND ".join(f"{part} >= 0" for part in _PRICE)),
    check("held_not_negative", "held >= 0"),
    check("outcome_known", "outcome IN ('running', 'completed', 'stopped', 'failed', 'timed_out', 'interrupted')"),
    check("usage_not_negative", "prompt_tokens >= 0 AND completion_tokens >= 0"),
    check("charged_within_held", "credits_charged BETWEEN 0 AND held"),
    check("charged_for_a_reply", "credits_charged = 0 OR outcome IN ('completed', 'stopped')"),
    check("finished_when_ended", "(finished_at IS NULL) = (outcome = 'running')"),
    check("balance_when_ended", "(balance_after IS NULL) = (outcome = 'running')"),
    check("time_when_ended", "(processing_time_ms IS NULL) = (outcome = 'running')"),
    check("cached_is_yes_or_no", "cached IN (true, false)"),
    check("temporary_is_yes_or_no", "temporary IN (true, false)"),
    check("temporary_without_texts", "temporary = false OR (prompt = '' AND reply = '')"),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "conversation_id", "created_at", "id"),
    Index(None, "created_at", "id"),
    partial("ix_interactions_finished_at", "finished_at", where="finished_at IS NOT NULL"),
    partial("ix_interactions_of_api_key", "api_key_id", "created_at", where="api_key_id IS NOT NULL"),
)

payments = table(
    "payments",
    key(),
    refers("user_id", "users", index=True),
    refers("wallet_id", "wallets"),
    *columns(Text, "package"),
    # Money has two decimals, so whole hundredths are exact and can be summed by any database.
    *columns(Count, "credits", "price_hundredths"),
    *columns(Text, "currency", "provider"),
    *columns(UtcDateTime, "created_at"),
    *changing(Text, "status"),
    *changing(UtcDateTime, "confirmed_at", null=True),
    *changing(Count, "balance_after", null=True),
    *changing(UtcDateTime, "refunded_at", null=True),
    Column("bonus", Count, nullable=False, server_default=text("0")),
    check("credits_in_bounds", f"credits BETWEEN 1 AND {MAX_CREDITS}"),
    check("price_not_negative", "price_hundredths >= 0"),
    check("bonus_in_bounds", "bonus BETWEEN 0 AND credits"),
    check("status_known", "status IN ('pending', 'confirmed', 'failed', 'refunded')"),
    check("time_when_confirmed", "(confirmed_at IS NOT NULL) = (status IN ('confirmed', 'refunded'))"),
    check("balance_when_confirmed", "(balance_after IS NOT NULL) = (status IN ('confirmed', 'refunded'))"),
    check("time_when_refunded", "(refunded_at IS NOT NULL) = (status = 'refunded')"),
)

ledger_entries = table(
    "ledger_entries",
    # A wallet's entries lie side by side, in the order in which they are read.
    Column("wallet_id", Id, ForeignKey("wallets.id"), primary_key=True),
    Column("wallet_version", Count, primary_key=True, autoincrement=False),
    Column("id", Id, nullable=False, unique=True),
    *columns(Text, "kind", "debit", "credit"),
    *columns(Count, "amount", "balance_after"),
    *columns(Text, "description"),
    *columns(UtcDateTime, "created_at"),
    refers("hold_id", "holds", null=True),
    refers("interaction_id", "interactions", null=True),
    refers("payment_id", "payments", null=True),
    refers("author", "users", null=True),
    # The subject, where it is neither an interaction nor a payment.
    *reference("subject", null=True),
    check("version_from_one", "wallet_version >= 1"),
    check("amount_in_bounds", f"amount BETWEEN 1 AND {MAX_CREDITS}"),
    check("balance_in_bounds", f"balance_after BETWEEN -{MAX_CREDITS} AND {MAX_CREDITS}"),
    check(
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
    check(
        "top_up_has_payment",
        "CASE kind WHEN 'top_up' THEN payment_id IS NOT NULL"
        " WHEN 'adjustment' THEN payment_id IS NULL OR (credit = 'house:adjustments' AND author IS NULL)"
        " ELSE payment_id IS NULL END",
    ),
    check(
        "by_hand_has_author",
        "kind NOT IN ('adjustment', 'refund') OR (description <> ''"
        " AND (author IS NOT NULL OR (kind = 'adjustment' AND payment_id IS NOT NULL)))",
    ),
    check("subject_is_whole", "(subject_kind IS NULL) = (subject_id IS NULL)"),
    check("subject_is_another", "subject_kind NOT IN ('interaction', 'payment')"),
    check(
        "subject_is_one",
        "(interaction_id IS NULL OR payment_id IS NULL)"
        " AND (subject_kind IS NULL OR (interaction_id IS NULL AND payment_id IS NULL))",
    ),
    partial("uq_ledger_entries_charge_of_hold", "hold_id", where="kind = 'charge'", unique=True),
    partial("uq_ledger_entries_top_up_of_payment", "payment_id", where="kind = 'top_up'", unique=True),
    partial("uq_ledger_entries_return_of_payment", "payment_id", where="kind = 'adjustment'", unique=True),
    partial(
        "uq_ledger_entries_code_of_wallet", "subject_id", "wallet_id", where=f"subject_kind = '{CODE}'", unique=True
    ),
    Index(None, "created_at", "id"),
    partial("ix_ledger_entries_refund_of_hold", "hold_id", where="kind = 'refund'"),
    with_rowid=False,
)

redeem_codes = table(
    "redeem_codes",
    key(),
    Column("digest", Text, nullable=False, unique=True),
    *columns(Count, "credits", "uses"),
    *columns(UtcDateTime, "created_at"),
    refers("created_by", "users"),
    *columns(UtcDateTime, "expires_at", null=True),
    *changing(UtcDateTime, "withdrawn_at", null=True),
    refers("withdrawn_by", "users", null=True, info=CHANGES),
    check("credits_in_bounds", f"credits BETWEEN 1 AND {MAX_CREDITS}"),
    check("uses_in_bounds", f"uses BETWEEN 1 AND {MAX_USES}"),
    check("withdrawn_by_whom", "(withdrawn_at IS NULL) = (withdrawn_by IS NULL)"),
    Index(None, "created_at", "id"),
    with_rowid=False,
)

idempotency_keys = table(
    "idempotency_keys",
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    *columns(Text, "fingerprint"),
    *columns(UtcDateTime, "created_at"),
    *columns(Id, "subject_id", null=True),
    *columns(Count, "refusal_required", "refusal_available", "refusal_cap", null=True),
    check("refusal_is_whole", "(refusal_required IS NULL) = (refusal_available IS NULL)"),
    check("answer_is_one", "(subject_id IS NULL) <> (refusal_required IS NULL)"),
    check("cap_refuses", "refusal_cap IS NULL OR refusal_required IS NOT NULL"),
    with_rowid=False,
)

outbox = table(
    "outbox",
    Column("position", Count, Identity(always=True), primary_key=True),
    # PostgreSQL's number of the transaction that wrote the row; 0 on SQLite, where one transaction writes at a time.
    Column("transaction_id", Count, nullable=False, server_default=CurrentTransaction()),
    *columns(Text, "kind"),
    refers("wallet_id", "wallets"),
    *columns(Count, "amount"),
    *columns(UtcDateTime, "at"),
    *reference("subject", null=True),
    *columns(Id, "entry_id", "hold_id", null=True),
    check("kind_known", "kind IN ('granted', 'topped_up', 'charged', 'refunded', 'adjusted', 'released')"),
    check("subject_is_whole", "(subject_kind IS NULL) = (subject_id IS NULL)"),
    Index(None, "transaction_id", "position"),
    partial("ix_outbox_by_hand", "at", where="kind IN ('refunded', 'adjusted')"),
    sqlite_autoincrement=True,
)

instances = table("instances", key(), *changing(Count, "renewals"), with_rowid=False)

# The oldest programs that may run on this schema, by the newest revision that they know; see docs/upgrades.md.
compatibility = table("compatibility", key(), *changing(Text, "oldest_program"), with_rowid=False)

# Always empty; see `repositories.write_checks`.
write_checks = table("write_checks", key(), *columns(Text, "padding"), with_rowid=False)
