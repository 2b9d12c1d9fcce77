"""Jobs, alerts, and an index of the events by hand.

Compatible with: the programs of 0001 to 0012 run on after this step; they do no jobs and open no alerts. Going back
forgets both: a job that was queued is not done.

Locks: both tables are new. Writers wait while the events of the outbox are read once, for the index of those that were
made by hand: about a second for a million.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

ID = sa.String(64).with_variant(sa.Text(), "sqlite").with_variant(sa.String(64, collation="C"), "postgresql")
COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    make_jobs()
    make_alerts()
    index("ix_outbox_by_hand", "outbox", "at", where="kind IN ('refunded', 'adjusted')")


def downgrade() -> None:
    op.drop_index(op.f("ix_outbox_by_hand"), "outbox")
    op.drop_table("alerts")
    op.drop_table("jobs")


def make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", COUNT, nullable=False),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_jobs_state_known")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_jobs_attempts_not_negative")),
        sa.CheckConstraint("(claim IS NOT NULL) = (state = 'running')", name=op.f("ck_jobs_claim_while_running")),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('done', 'failed'))", name=op.f("ck_jobs_finished_when_ended")
        ),
        sa.CheckConstraint("length(error) <= 200", name=op.f("ck_jobs_error_is_short")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    index("uq_jobs_period_of_kind", "jobs", "kind", "period", where="period IS NOT NULL", unique=True)
    index("ix_jobs_unfinished", "jobs", "due_at", "id", where="state IN ('queued', 'running')")
    index("ix_jobs_done", "jobs", "finished_at", where="state = 'done'")
    index("ix_jobs_created_at_id", "jobs", "created_at", "id")


def make_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("notified_at", MOMENT, nullable=False),
        sa.Column("times", COUNT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("acknowledged_at", MOMENT, nullable=True),
        sa.Column("acknowledged_by", ID, nullable=True),
        sa.CheckConstraint("severity IN ('warning', 'critical')", name=op.f("ck_alerts_severity_known")),
        sa.CheckConstraint("times >= 1", name=op.f("ck_alerts_times_from_one")),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name=op.f("ck_alerts_acknowledged_by_somebody")
        ),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["users.id"], name=op.f("fk_alerts_acknowledged_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    index("uq_alerts_open", "alerts", "kind", "subject", where="closed_at IS NULL", unique=True)
    index("ix_alerts_opened_at_id", "alerts", "opened_at", "id")


def index(name: str, table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    some: dict[str, Any] = {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)} if where else {}
    op.create_index(op.f(name), table, list(columns), unique=unique, **some)
