"""Leases of the processes that write replies, and which programs may run on a schema that is newer than they are.

Compatible with: the programs of 0001 to 0021 run on after this step, if they are running, and do not start: they refuse
what is newer. Their replies have no lease, and their holds are released when their time is over, as before. Going back
forgets the leases.

Locks: two tables are new. On PostgreSQL, the new column of holds rewrites nothing, and waits for running transactions
to leave the table. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    make_table("instances", sa.Column("renewals", COUNT, nullable=False))
    make_table("compatibility", sa.Column("oldest_program", sa.Text(), nullable=False))
    op.execute("INSERT INTO compatibility (id, oldest_program) VALUES ('all', '0022')")
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute(f"ALTER TABLE holds ADD COLUMN instance_id {id_type()}")


def downgrade() -> None:
    op.execute("ALTER TABLE holds DROP COLUMN instance_id")
    op.drop_table("compatibility")
    op.drop_table("instances")


def make_table(name: str, column: sa.Column[str] | sa.Column[int]) -> None:
    op.create_table(
        name,
        sa.Column("id", ID, nullable=False),
        column,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def id_type() -> str:
    return 'VARCHAR(64) COLLATE "C"' if op.get_bind().dialect.name == "postgresql" else "TEXT"
