"""API keys: what a program signs in with, what it may spend in a month, and requests that came with one.

Compatible with: the program of 0001 runs on after this step, as every new column has a value where none is given; it
shows conversations that programs made among those of the person. Going back forgets all keys and lists those
conversations too.

Locks: on PostgreSQL, new columns rewrite nothing and are checked against nothing, but each waits for running
transactions to leave its table. The two new indexes keep writers out of `conversations` and `interactions` while each
is read once, which is seconds for a million rows. On SQLite, writers wait for the whole step, as always.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MAX_CREDITS = 1_000_000_000_000_000

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    make_tables()
    for table, name, type_, rules in COLUMNS:
        add_column(table, name, type_, rules)
    op.drop_index("ix_conversations_user_id_updated_at_id", "conversations")
    partial_index("ix_conversations_listed", "conversations", "user_id", "updated_at", "id", where="listed")
    partial_index(
        "ix_interactions_of_api_key", "interactions", "api_key_id", "created_at", where="api_key_id IS NOT NULL"
    )
    for name, table, event, when, words in FORBIDDEN:
        forbid(name, table, event, when, words)


def downgrade() -> None:
    for name, table, _, _, _ in reversed(FORBIDDEN):
        on_table = f" ON {table}" if is_postgres() else ""
        op.execute(f"DROP TRIGGER {name}{on_table}")
    op.drop_index("ix_interactions_of_api_key", "interactions")
    op.drop_index("ix_conversations_listed", "conversations")
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    for table, name, _, _ in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    op.create_index(
        "ix_conversations_user_id_updated_at_id", "conversations", ["user_id", "updated_at", "id"], unique=False
    )
    op.drop_table("api_key_months")
    op.drop_table("api_keys")


COLUMNS: tuple[tuple[str, str, sa.types.TypeEngine[Any], str], ...] = (
    (
        "conversations",
        "listed",
        sa.Boolean().with_variant(sa.Integer(), "sqlite"),
        "DEFAULT true NOT NULL CONSTRAINT ck_conversations_listed_is_yes_or_no CHECK (listed IN (true, false))",
    ),
    ("interactions", "api_key_id", ID, "CONSTRAINT fk_interactions_api_key_id REFERENCES api_keys (id)"),
    (
        "idempotency_keys",
        "refusal_cap",
        COUNT,
        "CONSTRAINT ck_idempotency_keys_cap_refuses CHECK (refusal_cap IS NULL OR refusal_required IS NOT NULL)",
    ),
)
"""Table, column, type, and the rules that come with the column."""


def make_tables() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("monthly_cap", COUNT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.CheckConstraint(f"monthly_cap BETWEEN 1 AND {MAX_CREDITS}", name=op.f("ck_api_keys_cap_in_bounds")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    partial_index(
        "uq_api_keys_name_of_user", "api_keys", "user_id", "name_key", where="revoked_at IS NULL", unique=True
    )
    op.create_table(
        "api_key_months",
        sa.Column("api_key_id", ID, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("monthly_cap", COUNT, nullable=True),
        sa.Column("used", COUNT, nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_api_key_months_ends_after_start")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_api_key_months_used_not_negative")),
        sa.CheckConstraint("used <= monthly_cap", name=op.f("ck_api_key_months_used_within_cap")),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_api_key_months_api_key_id")),
        sa.PrimaryKeyConstraint("api_key_id", "starts_at", name=op.f("pk_api_key_months")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def add_column(table: str, name: str, type_: sa.types.TypeEngine[Any], rules: str) -> None:
    """In one statement, so that PostgreSQL knows that no row needs a look; SQLite has no other way to add a rule."""
    words = type_.compile(dialect=op.get_bind().dialect)
    op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {words} {rules}")


def partial_index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


def changed(*columns: str) -> str:
    return " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in columns)


FORBIDDEN = (
    ("api_keys_stay", "api_keys", "DELETE", "", "an API key is revoked, never deleted"),
    (
        "api_keys_keep_their_terms",
        "api_keys",
        "UPDATE",
        changed("id", "user_id", "name", "name_key", "digest", "monthly_cap", "created_at", "expires_at"),
        "what an API key is and may do never changes",
    ),
    (
        "api_keys_stay_revoked",
        "api_keys",
        "UPDATE",
        f"OLD.revoked_at IS NOT NULL AND ({changed('revoked_at')})",
        "an API key is revoked once and for ever",
    ),
    ("api_key_months_stay", "api_key_months", "DELETE", "", "what an API key used is never forgotten"),
    (
        "api_key_months_keep_their_terms",
        "api_key_months",
        "UPDATE",
        changed("api_key_id", "starts_at", "ends_at", "monthly_cap"),
        "the terms of a month of an API key never change",
    ),
    (
        "interactions_keep_their_key",
        "interactions",
        "UPDATE OF api_key_id",
        changed("api_key_id"),
        "which API key an interaction came with never changes",
    ),
)
"""Name of the trigger, table, what is done to a row, when that is forbidden ("": always), and why."""


def forbid(name: str, table: str, event: str, when: str, words: str) -> None:
    """As in 0001, whose function for PostgreSQL serves here too."""
    condition = f"WHEN ({when})" if when else ""
    if is_postgres():
        body = f"EXECUTE FUNCTION chatbill_forbid('{words}')"
    else:
        body = f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
    op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {condition} {body}")
    if event == "DELETE" and is_postgres():
        body = f"EXECUTE FUNCTION chatbill_forbid('{table} is never emptied')"
        op.execute(f"CREATE TRIGGER {name}_together BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {body}")
