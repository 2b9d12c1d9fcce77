"""A table that is always empty: a row is put into it and taken out again to see that the database keeps things.

Compatible with: the programs of 0001 to 0004 run on after this step, as they do not know the table. Going back forgets
nothing, as nothing is ever in it.

Locks: none on what is there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "write_checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("padding", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_checks")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("write_checks")
