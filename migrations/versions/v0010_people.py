"""Scopes of API keys, use of sessions, and links for a new password.

Compatible with: the programs of 0001 to 0009 run on after this step. A key that they make, and each key from before,
gets the scopes `chat` and `billing`: what was documented for keys without scopes. Sessions from before have empty
columns. Going back forgets all that is new here.

Locks: on PostgreSQL, the new columns rewrite nothing and are checked against nothing, but wait for running
transactions to leave their tables. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
SESSION_COLUMNS: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("last_seen_at", MOMENT),
    ("address", sa.Text()),
    ("client", sa.Text()),
)
LINK_RULE = (
    "CONSTRAINT ck_users_password_link_expires CHECK ((password_link IS NULL) = (password_link_expires_at IS NULL))"
)
TRIGGER = "api_keys_keep_their_scopes"
WORDS = "the scopes of an API key never change"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the tables on SQLite, and lose their triggers.
    op.execute(
        "ALTER TABLE api_keys ADD COLUMN scopes TEXT DEFAULT 'billing chat' NOT NULL"
        " CONSTRAINT ck_api_keys_scopes_not_empty CHECK (scopes <> '')"
    )
    moment = MOMENT.compile(dialect=op.get_bind().dialect)
    op.execute("ALTER TABLE users ADD COLUMN password_link TEXT")
    op.execute(f"ALTER TABLE users ADD COLUMN password_link_expires_at {moment} {LINK_RULE}")
    for name, type_ in SESSION_COLUMNS:
        op.execute(f"ALTER TABLE sessions ADD COLUMN {name} {type_.compile(dialect=op.get_bind().dialect)}")
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = "WHEN (OLD.scopes IS DISTINCT FROM NEW.scopes)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON api_keys FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON api_keys" if is_postgres() else ""))
    for name, _ in SESSION_COLUMNS:
        op.execute(f"ALTER TABLE sessions DROP COLUMN {name}")
    op.execute("ALTER TABLE users DROP COLUMN password_link_expires_at")
    op.execute("ALTER TABLE users DROP COLUMN password_link")
    op.execute("ALTER TABLE api_keys DROP COLUMN scopes")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
