"""Which replies came out of the cache, written down with the price they were accepted at.

Compatible with: the programs of 0001 and 0002 run on after this step, as the new column has a value where none is
given. Going back forgets which replies were cached, and nothing else.

Locks: on PostgreSQL, the new column rewrites nothing and is checked against nothing, but waits for running
transactions to leave the table. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
RULES = "DEFAULT false NOT NULL CONSTRAINT ck_interactions_cached_is_yes_or_no CHECK (cached IN (true, false))"
TRIGGER = "interactions_stay_cached_or_not"
WORDS = "whether a reply came out of the cache never changes"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE interactions ADD COLUMN cached {FLAG.compile(dialect=op.get_bind().dialect)} {RULES}")
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = "WHEN (OLD.cached IS DISTINCT FROM NEW.cached)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON interactions FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON interactions" if is_postgres() else ""))
    op.execute("ALTER TABLE interactions DROP COLUMN cached")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
