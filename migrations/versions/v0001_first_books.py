"""The first books: people, wallets, holds, ledger, conversations, payments, idempotency keys.

Compatible with: nothing before it. It makes new tables, so it waits for nobody.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MAX_CREDITS = 1_000_000_000_000_000

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    people()
    chat()
    money()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(FORBID_FUNCTION)
    for name, table, event, when, words in FORBIDDEN:
        forbid(name, table, event, when, words)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)  # its triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION chatbill_forbid()")


TABLES = (
    "wallets",
    "users",
    "sessions",
    "refresh_tokens",
    "conversations",
    "holds",
    "interactions",
    "payments",
    "ledger_entries",
    "idempotency_keys",
)


def make(name: str, *items: sa.Column[Any] | sa.Constraint, with_rowid: bool = False) -> None:
    op.create_table(name, *items, sqlite_strict=True, sqlite_with_rowid=with_rowid)


def column(name: str, type_: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=null)


def check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def unique(table: str, name: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(name, name=op.f(f"uq_{table}_{name}"))


def refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [f"{to}.id"], name=op.f(f"fk_{table}_{name}"), ondelete=ondelete)


def index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def people() -> None:
    make(
        "wallets",
        column("id", ID),
        column("posted", COUNT),
        column("held", COUNT),
        column("version", COUNT),
        column("overdraft", COUNT),
        check("wallets", "posted_in_bounds", f"posted <= {MAX_CREDITS}"),
        check("wallets", "held_not_negative", "held >= 0"),
        check("wallets", "available_within_overdraft", "posted - held >= -overdraft"),
        check("wallets", "overdraft_in_bounds", f"overdraft BETWEEN 0 AND {MAX_CREDITS}"),
        check("wallets", "version_not_negative", "version >= 0"),
        key("wallets", "id"),
    )
    make(
        "users",
        column("id", ID),
        column("username", sa.Text()),
        column("email", sa.Text()),
        column("username_key", sa.Text()),
        column("email_key", sa.Text()),
        column("password_hash", sa.Text()),
        column("role", sa.Text()),
        column("wallet_id", ID),
        column("created_at", MOMENT),
        column("disabled_at", MOMENT, null=True),
        check("users", "role_known", "role IN ('user', 'admin')"),
        refers("users", "wallet_id", "wallets"),
        key("users", "id"),
        unique("users", "email_key"),
        unique("users", "username_key"),
        with_rowid=True,
    )
    index("users", "wallet_id")
    make(
        "sessions",
        column("id", ID),
        column("user_id", ID),
        column("created_at", MOMENT),
        column("expires_at", MOMENT),
        column("ended_at", MOMENT, null=True),
        column("ended_because", sa.Text(), null=True),
        check("sessions", "end_has_reason", "(ended_at IS NULL) = (ended_because IS NULL)"),
        refers("sessions", "user_id", "users"),
        key("sessions", "id"),
    )
    index("sessions", "expires_at")
    index("sessions", "user_id")
    make(
        "refresh_tokens",
        column("digest", sa.Text()),
        column("session_id", ID),
        column("issued_at", MOMENT),
        column("spent_at", MOMENT, null=True),
        refers("refresh_tokens", "session_id", "sessions", ondelete="CASCADE"),
        key("refresh_tokens", "digest"),
    )
    index("refresh_tokens", "session_id")


def chat() -> None:
    make(
        "conversations",
        column("id", ID),
        column("user_id", ID),
        column("title", sa.Text()),
        column("created_at", MOMENT),
        column("updated_at", MOMENT),
        column("deleted_at", MOMENT, null=True),
        refers("conversations", "user_id", "users"),
        key("conversations", "id"),
    )
    index("conversations", "user_id", "updated_at", "id")
    make(
        "holds",
        column("id", ID),
        column("wallet_id", ID),
        column("amount", COUNT),
        column("created_at", MOMENT),
        column("expires_at", MOMENT),
        column("state", sa.Text()),
        column("captured", COUNT),
        column("refunded", COUNT),
        column("settled_at", MOMENT, null=True),
        check("holds", "amount_in_bounds", f"amount BETWEEN 0 AND {MAX_CREDITS}"),
        check("holds", "state_known", "state IN ('pending', 'captured', 'released')"),
        check("holds", "captured_within_amount", "captured BETWEEN 0 AND amount"),
        check("holds", "refunded_within_captured", "refunded BETWEEN 0 AND captured"),
        check("holds", "captured_when_captured", "(captured > 0) = (state = 'captured')"),
        check("holds", "settled_when_not_pending", "(settled_at IS NULL) = (state = 'pending')"),
        refers("holds", "wallet_id", "wallets"),
        key("holds", "id"),
    )
    partial_index("ix_holds_pending", "holds", "expires_at", "id", where="state = 'pending'")
    make(
        "interactions",
        column("id", ID),
        column("conversation_id", ID),
        column("user_id", ID),
        column("wallet_id", ID),
        column("hold_id", ID),
        column("model", sa.Text()),
        column("price_per_reply", COUNT),
        column("price_per_1k_prompt_tokens", COUNT),
        column("price_per_1k_completion_tokens", COUNT),
        column("held", COUNT),
        column("created_at", MOMENT),
        column("outcome", sa.Text()),
        column("prompt_tokens", COUNT),
        column("completion_tokens", COUNT),
        column("credits_charged", COUNT),
        column("balance_after", COUNT, null=True),
        column("processing_time_ms", COUNT, null=True),
        column("finished_at", MOMENT, null=True),
        column("error_code", sa.Text(), null=True),
        column("error_detail", sa.Text(), null=True),
        column("prompt", sa.Text()),
        column("reply", sa.Text()),
        check(
            "interactions",
            "price_not_negative",
            "price_per_reply >= 0 AND price_per_1k_prompt_tokens >= 0 AND price_per_1k_completion_tokens >= 0",
        ),
        check("interactions", "held_not_negative", "held >= 0"),
        check(
            "interactions",
            "outcome_known",
            "outcome IN ('running', 'completed', 'stopped', 'failed', 'timed_out', 'interrupted')",
        ),
        check("interactions", "usage_not_negative", "prompt_tokens >= 0 AND completion_tokens >= 0"),
        check("interactions", "charged_within_held", "credits_charged BETWEEN 0 AND held"),
        check("interactions", "charged_for_a_reply", "credits_charged = 0 OR outcome IN ('completed', 'stopped')"),
        check("interactions", "finished_when_ended", "(finished_at IS NULL) = (outcome = 'running')"),
        check("interactions", "balance_when_ended", "(balance_after IS NULL) = (outcome = 'running')"),
        check("interactions", "time_when_ended", "(processing_time_ms IS NULL) = (outcome = 'running')"),
        refers("interactions", "conversation_id", "conversations"),
        refers("interactions", "hold_id", "holds"),
        refers("interactions", "user_id", "users"),
        refers("interactions", "wallet_id", "wallets"),
        key("interactions", "id"),
        unique("interactions", "hold_id"),
        with_rowid=True,
    )
    index("interactions", "conversation_id", "created_at", "id")
    index("interactions", "user_id", "created_at", "id")


def money() -> None:
    make(
        "payments",
        column("id", ID),
        column("user_id", ID),
        column("wallet_id", ID),
        column("package", sa.Text()),
        column("credits", COUNT),
        column("price_hundredths", COUNT),
        column("currency", sa.Text()),
        column("provider", sa.Text()),
        column("created_at", MOMENT),
        column("status", sa.Text()),
        column("confirmed_at", MOMENT, null=True),
        column("balance_after", COUNT, null=True),
        check("payments", "credits_in_bounds", f"credits BETWEEN 1 AND {MAX_CREDITS}"),
        check("payments", "price_not_negative", "price_hundredths >= 0"),
        check("payments", "status_known", "status IN ('pending', 'confirmed')"),
        check("payments", "time_when_confirmed", "(confirmed_at IS NOT NULL) = (status = 'confirmed')"),
        check("payments", "balance_when_confirmed", "(balance_after IS NOT NULL) = (status = 'confirmed')"),
        refers("payments", "user_id", "users"),
        refers("payments", "wallet_id", "wallets"),
        key("payments", "id"),
        with_rowid=True,
    )
    index("payments", "user_id")
    make(
        "ledger_entries",
        column("wallet_id", ID),
        sa.Column("wallet_version", COUNT, nullable=False, autoincrement=False),
        column("id", ID),
        column("kind", sa.Text()),
        column("debit", sa.Text()),
        column("credit", sa.Text()),
        column("amount", COUNT),
        column("balance_after", COUNT),
        column("description", sa.Text()),
        column("created_at", MOMENT),
        column("hold_id", ID, null=True),
        column("interaction_id", ID, null=True),
        column("payment_id", ID, null=True),
        column("author", ID, null=True),
        check("ledger_entries", "version_from_one", "wallet_version >= 1"),
        check("ledger_entries", "amount_in_bounds", f"amount BETWEEN 1 AND {MAX_CREDITS}"),
        check("ledger_entries", "balance_in_bounds", f"balance_after BETWEEN -{MAX_CREDITS} AND {MAX_CREDITS}"),
        check("ledger_entries", "accounts_fit_kind", ACCOUNTS_FIT_KIND),
        check("ledger_entries", "top_up_has_payment", "(kind = 'top_up') = (payment_id IS NOT NULL)"),
        check(
            "ledger_entries",
            "by_hand_has_author",
            "kind NOT IN ('adjustment', 'refund') OR (author IS NOT NULL AND description <> '')",
        ),
        refers("ledger_entries", "author", "users"),
        refers("ledger_entries", "hold_id", "holds"),
        refers("ledger_entries", "interaction_id", "interactions"),
        refers("ledger_entries", "payment_id", "payments"),
        refers("ledger_entries", "wallet_id", "wallets"),
        key("ledger_entries", "wallet_id", "wallet_version"),
        unique("ledger_entries", "id"),
    )
    partial_index("uq_ledger_entries_charge_of_hold", "ledger_entries", "hold_id", where="kind = 'charge'", unique=True)
    partial_index(
        "uq_ledger_entries_top_up_of_payment", "ledger_entries", "payment_id", where="kind = 'top_up'", unique=True
    )
    partial_index("ix_ledger_entries_refund_of_hold", "ledger_entries", "hold_id", where="kind = 'refund'")
    make(
        "idempotency_keys",
        column("user_id", ID),
        column("key", sa.Text()),
        column("fingerprint", sa.Text()),
        column("created_at", MOMENT),
        column("subject_id", ID, null=True),
        column("refusal_required", COUNT, null=True),
        column("refusal_available", COUNT, null=True),
        check("idempotency_keys", "refusal_is_whole", "(refusal_required IS NULL) = (refusal_available IS NULL)"),
        check("idempotency_keys", "answer_is_one", "(subject_id IS NULL) <> (refusal_required IS NULL)"),
        refers("idempotency_keys", "user_id", "users"),
        key("idempotency_keys", "user_id", "key"),
    )


def partial_index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


ACCOUNTS_FIT_KIND = (
    "CASE kind"
    " WHEN 'charge' THEN debit = 'wallet:' || wallet_id AND credit = 'house:revenue' AND hold_id IS NOT NULL"
    " WHEN 'refund' THEN debit = 'house:revenue' AND credit = 'wallet:' || wallet_id AND hold_id IS NOT NULL"
    " WHEN 'grant' THEN debit = 'house:promotions' AND credit = 'wallet:' || wallet_id"
    " WHEN 'top_up' THEN debit = 'house:payments' AND credit = 'wallet:' || wallet_id"
    " WHEN 'adjustment' THEN (debit = 'house:adjustments' AND credit = 'wallet:' || wallet_id)"
    " OR (debit = 'wallet:' || wallet_id AND credit = 'house:adjustments')"
    " ELSE 1 = 0 END"
)


def changed(*columns: str) -> str:
    return " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in columns)


def rewritten(column: str) -> str:
    return f"(NEW.{column} <> OLD.{column} AND NEW.{column} <> '')"


def update_of(*columns: str) -> str:
    """Updates that set one of these columns; others need not look at the rule, and most updates are others."""
    return f"UPDATE OF {', '.join(columns)}"


TERMS = ("id", "wallet_id", "amount", "created_at", "expires_at")
SETTLEMENT = ("state", "captured", "settled_at")
REQUEST = (
    *("id", "conversation_id", "user_id", "wallet_id", "hold_id", "model", "price_per_reply"),
    *("price_per_1k_prompt_tokens", "price_per_1k_completion_tokens", "held", "created_at"),
)
ENDING = (
    *("outcome", "prompt_tokens", "completion_tokens", "credits_charged", "balance_after", "processing_time_ms"),
    *("finished_at", "error_code", "error_detail"),
)
ORDER = ("id", "user_id", "wallet_id", "package", "credits", "price_hundredths", "currency", "provider", "created_at")

FORBIDDEN = (
    ("ledger_entries_stay_as_they_are", "ledger_entries", "UPDATE", "", "a ledger entry never changes"),
    ("ledger_entries_stay", "ledger_entries", "DELETE", "", "a ledger entry is never deleted"),
    ("wallets_stay", "wallets", "DELETE", "", "a wallet is never deleted"),
    (
        "wallets_own_what_entries_say",
        "wallets",
        "UPDATE",
        "NEW.version < OLD.version OR (NEW.version = OLD.version AND NEW.posted <> OLD.posted) OR OLD.id <> NEW.id",
        "what a wallet owns changes with its entries alone",
    ),
    ("holds_stay", "holds", "DELETE", "", "a hold is never deleted"),
    (
        "holds_are_settled_once",
        "holds",
        update_of(*SETTLEMENT),
        f"OLD.state <> 'pending' AND ({changed(*SETTLEMENT)})",
        "a hold is settled once",
    ),
    (
        "holds_refunds_only_grow",
        "holds",
        update_of("refunded"),
        "NEW.refunded < OLD.refunded OR (NEW.refunded > 0 AND OLD.state <> 'captured')",
        "what was refunded never shrinks, and only a captured hold is refunded",
    ),
    (
        "holds_keep_their_terms",
        "holds",
        update_of(*TERMS),
        changed(*TERMS),
        "the terms of a hold never change",
    ),
    ("interactions_stay", "interactions", "DELETE", "", "an interaction is never deleted"),
    (
        "interactions_keep_their_terms",
        "interactions",
        update_of(*REQUEST),
        changed(*REQUEST),
        "what an interaction was asked and promised never changes",
    ),
    (
        "interactions_end_once",
        "interactions",
        update_of(*ENDING),
        f"OLD.outcome <> 'running' AND ({changed(*ENDING)})",
        "the figures of an interaction that has ended never change",
    ),
    (
        "interactions_are_erased_or_kept",
        "interactions",
        update_of("prompt", "reply"),
        rewritten("prompt") + " OR (OLD.outcome <> 'running' AND " + rewritten("reply") + ")",
        "the texts of an interaction may be erased, not rewritten",
    ),
    ("payments_stay", "payments", "DELETE", "", "a payment is never deleted"),
    ("payments_are_confirmed_once", "payments", "UPDATE", "OLD.status <> 'pending'", "a payment is confirmed once"),
    (
        "payments_keep_their_order",
        "payments",
        update_of(*ORDER),
        changed(*ORDER),
        "what a payment is for never changes",
    ),
    ("idempotency_keys_stay", "idempotency_keys", "DELETE", "", "an idempotency key never expires"),
    (
        "idempotency_keys_stay_as_they_are",
        "idempotency_keys",
        "UPDATE",
        "",
        "what an idempotency key stands for never changes",
    ),
)
"""Name of the trigger, table, what is done to a row, when that is forbidden ("": always), and why."""

FORBID_FUNCTION = """
CREATE FUNCTION chatbill_forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def forbid(name: str, table: str, event: str, when: str, words: str) -> None:
    """Both databases test the condition themselves, so a row that obeys it costs next to nothing."""
    condition = f"WHEN ({when})" if when else ""
    if op.get_bind().dialect.name == "sqlite":
        body = f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
    else:
        body = f"EXECUTE FUNCTION chatbill_forbid('{words}')"
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {condition} {body}")
    if event == "DELETE" and op.get_bind().dialect.name == "postgresql":
        body = f"EXECUTE FUNCTION chatbill_forbid('{table} is never emptied')"
        op.execute(f"CREATE TRIGGER {name}_together BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {body}")
