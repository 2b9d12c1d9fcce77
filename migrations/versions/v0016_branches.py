"""Branches of conversations: the interaction that a message follows.

Compatible with: the programs of 0001 to 0015 run on after this step. A message that they send follows the newest one of
its conversation, on whichever branch that is. Going back makes every conversation one line in the order of time.

Locks: on PostgreSQL, the new columns rewrite nothing, and their rules hold for every row by their defaults, but each
waits for running transactions to leave its table. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
TRIGGER, WORDS = "interactions_keep_their_parent", "what an interaction follows never changes"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the tables on SQLite, and lose their triggers.
    dialect = op.get_bind().dialect
    op.execute(
        f"ALTER TABLE interactions ADD COLUMN parent_id {ID.compile(dialect=dialect)}"
        " CONSTRAINT fk_interactions_parent_id REFERENCES interactions (id)"
    )
    op.execute(
        f"ALTER TABLE conversations ADD COLUMN branched {FLAG.compile(dialect=dialect)} DEFAULT false NOT NULL"
        " CONSTRAINT ck_conversations_branched_is_yes_or_no CHECK (branched IN (true, false))"
    )
    body = f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
    if not is_postgres():
        body = f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    when = "WHEN (OLD.parent_id IS DISTINCT FROM NEW.parent_id)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON interactions FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON interactions" if is_postgres() else ""))
    op.execute("ALTER TABLE conversations DROP COLUMN branched")
    op.execute("ALTER TABLE interactions DROP COLUMN parent_id")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
