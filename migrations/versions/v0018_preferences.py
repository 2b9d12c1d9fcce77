"""What people set for themselves: language, time zone, limits on their spending, and when a balance is low.

Compatible with: the programs of 0001 to 0017 run on after this step, and do not obey the limits. Going back forgets
what people have set.

Locks: on PostgreSQL, the new columns rewrite nothing, and their rule holds for every row by their defaults, but waits
for running transactions to leave the table. On SQLite, writers wait for the step.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("limit_day", "limit_month", "low_balance")
RULE = "CONSTRAINT ck_users_limits_not_negative CHECK (limit_day >= 0 AND limit_month >= 0 AND low_balance >= 0)"


def upgrade() -> None:
    # As plain SQL: Alembic would rebuild the table on SQLite, and lose its triggers.
    op.execute("ALTER TABLE users ADD COLUMN locale TEXT")
    op.execute("ALTER TABLE users ADD COLUMN time_zone TEXT DEFAULT 'UTC' NOT NULL")
    for name in NUMBERS:
        rule = RULE if name == NUMBERS[-1] else ""
        op.execute(f"ALTER TABLE users ADD COLUMN {name} {COUNT.compile(dialect=op.get_bind().dialect)} {rule}")


def downgrade() -> None:
    for name in (*reversed(NUMBERS), "time_zone", "locale"):
        op.execute(f"ALTER TABLE users DROP COLUMN {name}")
