"""Who revoked an API key, and why where it was an administrator.

Compatible with: the programs of 0001 to 0005 run on after this step, as the new columns are empty where nothing is
given. Going back forgets who revoked which key and why, and nothing else.

Locks: on PostgreSQL, the new columns rewrite nothing and are checked against nothing, but wait for running
transactions to leave the table of keys, and, for the reference, the table of users. On SQLite, writers wait for the
step, which reads no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
BY_RULES = (
    "CONSTRAINT fk_api_keys_revoked_by REFERENCES users (id) "
    "CONSTRAINT ck_api_keys_revoked_by_when_revoked CHECK (revoked_by IS NULL OR revoked_at IS NOT NULL)"
)
WHY_RULES = "CONSTRAINT ck_api_keys_revoked_why_by_whom CHECK (revoked_why IS NULL OR revoked_by IS NOT NULL)"
TRIGGER = "api_keys_keep_who_revoked_them"
WORDS = "who revoked an API key, and why, never changes"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE api_keys ADD COLUMN revoked_by {ID.compile(dialect=op.get_bind().dialect)} {BY_RULES}")
    op.execute(f"ALTER TABLE api_keys ADD COLUMN revoked_why TEXT {WHY_RULES}")
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = (
        "WHEN (OLD.revoked_at IS NOT NULL AND (OLD.revoked_by IS DISTINCT FROM NEW.revoked_by"
        " OR OLD.revoked_why IS DISTINCT FROM NEW.revoked_why))"
    )
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON api_keys FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON api_keys" if is_postgres() else ""))
    op.execute("ALTER TABLE api_keys DROP COLUMN revoked_why")
    op.execute("ALTER TABLE api_keys DROP COLUMN revoked_by")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
