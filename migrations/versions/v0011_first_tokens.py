"""When the first token of a reply came.

Compatible with: the programs of 0001 to 0010 run on after this step, as the new column is empty where none is given.
Going back forgets these times, and nothing else.

Locks: on PostgreSQL, the new column rewrites nothing and is checked against nothing, but waits for running
transactions to leave the table. On SQLite, writers wait for the step, which reads no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE interactions ADD COLUMN first_token_ms {COUNT.compile(dialect=op.get_bind().dialect)}")


def downgrade() -> None:
    op.execute("ALTER TABLE interactions DROP COLUMN first_token_ms")
