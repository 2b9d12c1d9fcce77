"""The scopes of API keys.

Compatible with: the programs of 0001 to 0009 run on after this step. A key that they make, and each key from before,
gets the scopes `chat` and `billing`: what was documented for keys without scopes. Going back forgets all scopes.

Locks: on PostgreSQL, the new columns rewrite nothing and are checked against nothing, but wait for running
transactions to leave their tables. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

TRIGGER = "api_keys_keep_their_scopes"
WORDS = "the scopes of an API key never change"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the tables on SQLite, and lose their triggers.
    op.execute(
        "ALTER TABLE api_keys ADD COLUMN scopes TEXT DEFAULT 'billing chat' NOT NULL"
        " CONSTRAINT ck_api_keys_scopes_not_empty CHECK (scopes <> '')"
    )
    body = (
        f"EXECUTE FUNCTION chatbill_forbid('{WORDS}')"
        if is_postgres()
        else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )
    when = "WHEN (OLD.scopes IS DISTINCT FROM NEW.scopes)"
    op.execute(f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON api_keys FOR EACH ROW {when} {body}")


def downgrade() -> None:
    op.execute(f"DROP TRIGGER {TRIGGER}" + (" ON api_keys" if is_postgres() else ""))
    op.execute("ALTER TABLE api_keys DROP COLUMN scopes")


def is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"
