"""When a reply was asked to stop by way of another process than the one that writes it, which looks for this.

Compatible with: the programs of 0001 to 0003 run on after this step, as the new column is empty where none is given;
they neither ask nor look. Going back forgets who was asked to stop, and nothing else.

Locks: on PostgreSQL, the new column rewrites nothing and is checked against nothing, but waits for running
transactions to leave the table. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
TRIGGER = "interactions_are_asked_to_stop_once"
WORDS = "a reply is asked to stop once, while it is written"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE interactions ADD COLUMN stop_asked_at {MOMENT.compile(dialect=op.get_bind().dialect)}")
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = (
        "WHEN (OLD.stop_asked_at IS DISTINCT FROM NEW.stop_asked_at"
        " AND (OLD.stop_asked_at IS NOT NULL OR OLD.outcome <> 'running'))"
    )
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE OF stop_asked_at ON interactions FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON interactions" if is_postgres() else ""))
    op.execute("ALTER TABLE interactions DROP COLUMN stop_asked_at")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
