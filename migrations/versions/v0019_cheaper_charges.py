"""Fewer entries in indexes for each charge.

The index of the time at which interactions end has no running ones, which a charge added and removed again. Events of
the outbox are forgotten in their own order, so their times need no index.

Compatible with: the programs of 0001 to 0018 run on after this step, and forget events more slowly.

Locks: on PostgreSQL, interactions are not written while their index is built, about a second for a million. On SQLite,
writers wait for the step.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

ENDED, EVENTS = "ix_interactions_finished_at", "ix_outbox_at"


def upgrade() -> None:
    rule = sa.text("finished_at IS NOT NULL")
    op.drop_index(op.f(EVENTS), "outbox")
    make_again(sqlite_where=rule, postgresql_where=rule)


def downgrade() -> None:
    make_again()
    op.create_index(op.f(EVENTS), "outbox", ["at"])


def make_again(**where: Any) -> None:
    op.drop_index(op.f(ENDED), "interactions")
    op.create_index(op.f(ENDED), "interactions", ["finished_at"], **where)
