"""Pinned conversations, and temporary messages, whose texts are never stored.

Compatible with: the programs of 0001 to 0022 run on after this step. They list pinned conversations among the others.
Going back forgets which conversations are pinned, and shows temporary messages as messages whose texts were erased.

Locks: on PostgreSQL, the new columns rewrite nothing, but their rules are checked against every row while the table is
locked: about a second for a million interactions. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
TRIGGER, WORDS = "interactions_stay_temporary_or_not", "whether an interaction is temporary never changes"
PINNED = sa.text("pinned")


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the tables on SQLite, and lose their triggers.
    flag = FLAG.compile(dialect=op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE conversations ADD COLUMN pinned {flag} DEFAULT false NOT NULL"
        " CONSTRAINT ck_conversations_pinned_is_yes_or_no CHECK (pinned IN (true, false))"
    )
    op.create_index(
        op.f("ix_conversations_pinned"),
        "conversations",
        ["user_id", "updated_at", "id"],
        sqlite_where=PINNED,
        postgresql_where=PINNED,
    )
    op.execute(
        f'ALTER TABLE interactions ADD COLUMN "temporary" {flag} DEFAULT false NOT NULL'
        " CONSTRAINT ck_interactions_temporary_is_yes_or_no CHECK (temporary IN (true, false))"
        " CONSTRAINT ck_interactions_temporary_without_texts"
        " CHECK (temporary = false OR (prompt = '' AND reply = ''))"
    )
    body = f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
    if not is_postgres():
        body = f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    when = "WHEN (OLD.temporary IS DISTINCT FROM NEW.temporary)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON interactions FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON interactions" if is_postgres() else ""))
    op.drop_index(op.f("ix_conversations_pinned"), "conversations")
    op.execute("ALTER TABLE conversations DROP COLUMN pinned")
    op.execute("ALTER TABLE interactions DROP COLUMN temporary")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
