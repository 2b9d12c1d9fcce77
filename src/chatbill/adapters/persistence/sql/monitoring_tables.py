"""The tables of jobs and of alerts, which are no part of the books."""

from __future__ import annotations

from sqlalchemy import Index, Text

from chatbill.adapters.persistence.sql.columns import CHANGES, changing, check, columns, key, partial, refers
from chatbill.adapters.persistence.sql.metadata import table
from chatbill.adapters.persistence.sql.types import Count, UtcDateTime
from chatbill.domain.jobs.jobs import MAX_ERROR_CHARS

jobs = table(
    "jobs",
    key(),
    *columns(Text, "kind", "parameters"),
    *columns(Text, "period", null=True),
    *columns(UtcDateTime, "created_at"),
    *changing(UtcDateTime, "due_at"),
    *changing(Text, "state"),
    *changing(Count, "attempts"),
    *changing(Text, "claim", "error", null=True),
    *changing(UtcDateTime, "finished_at", null=True),
    check("state_known", "state IN ('queued', 'running', 'done', 'failed')"),
    check("attempts_not_negative", "attempts >= 0"),
    check("claim_while_running", "(claim IS NOT NULL) = (state = 'running')"),
    check("finished_when_ended", "(finished_at IS NOT NULL) = (state IN ('done', 'failed'))"),
    check("error_is_short", f"length(error) <= {MAX_ERROR_CHARS}"),
    partial("uq_jobs_period_of_kind", "kind", "period", where="period IS NOT NULL", unique=True),
    partial("ix_jobs_unfinished", "due_at", "id", where="state IN ('queued', 'running')"),
    partial("ix_jobs_done", "finished_at", where="state = 'done'"),
    Index(None, "created_at", "id"),
    with_rowid=False,
)

alerts = table(
    "alerts",
    key(),
    *columns(Text, "kind", "subject"),
    *changing(Text, "source"),
    *columns(Text, "severity"),
    *changing(Text, "evidence"),
    *columns(UtcDateTime, "opened_at"),
    *changing(UtcDateTime, "seen_at", "notified_at"),
    *changing(Count, "times"),
    *changing(UtcDateTime, "closed_at", "acknowledged_at", null=True),
    refers("acknowledged_by", "users", null=True, info=CHANGES),
    check("severity_known", "severity IN ('warning', 'critical')"),
    check("times_from_one", "times >= 1"),
    check("acknowledged_by_somebody", "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)"),
    partial("uq_alerts_open", "kind", "subject", where="closed_at IS NULL", unique=True),
    Index(None, "opened_at", "id"),
    with_rowid=False,
)
