"""What is wrong now, by the figures of this process and by what the store says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from chatbill.application.monitoring.recent_figures import Recent
from chatbill.application.ports.engine import ModelState
from chatbill.application.ports.metrics import Figures
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.paging import Period
from chatbill.application.ports.store import Snapshot
from chatbill.application.shared.bounds import AlertBounds
from chatbill.domain.jobs.jobs import JobState
from chatbill.domain.monitoring.alerts import AlertKind, Evidence, Finding
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import ModelId

STORE: Final = "store"
JOBS: Final = "jobs"
BACKUPS: Final = "backups"
SIGN_IN_MINUTES: Final = 10
MAX_SIGN_INS: Final = 2_000
MAX_ADDRESSES: Final = 20
MONEY_HOURS: Final = 24

_Wrong: TypeAlias = tuple[AlertKind, str, Evidence]


def of_process(
    figures: Figures, recent: Recent, bounds: AlertBounds, *, source: str, offered: Collection[ModelId] = ()
) -> Iterator[Finding]:
    """Yield what is wrong with this process: its models, its requests, its machine. `recent` is of ten minutes.

    A model that was `offered` before and is not any more is as wrong as one that does not write.
    """
    where = source.partition(":")[2]
    wrong = (
        *_models(figures, bounds, offered),
        *_requests(recent, bounds),
        *_replies(recent, bounds),
        *_machine(figures, bounds),
    )
    for kind, what, evidence in wrong:
        yield Finding(kind=kind, subject=f"{what} at {where}" if what else where, source=source, evidence=evidence)


def _models(figures: Figures, bounds: AlertBounds, offered: Collection[ModelId]) -> Iterator[_Wrong]:
    for model, status in figures.models.items():
        if not status.healthy or (model in offered and status.state is ModelState.UNAVAILABLE):
            reason = status.reason.code if status.reason else "model_silent"
            yield AlertKind.MODEL_UNHEALTHY, model, {"model": model, "reason": reason}
        if bounds.queued and status.queued >= bounds.queued:
            evidence: Evidence = {"model": model, "queued": status.queued, "batch_size": status.at_once}
            yield AlertKind.QUEUE_FULL, model, evidence


def _requests(recent: Recent, bounds: AlertBounds) -> Iterator[_Wrong]:
    percent = round(100 * recent.errors / max(1, recent.requests), 1)
    if bounds.error_percent and recent.requests >= bounds.least_requests and percent >= bounds.error_percent:
        evidence: Evidence = {"requests": recent.requests, "errors": recent.errors, "percent": percent}
        yield AlertKind.ERROR_RATE, "", evidence
    if bounds.refused_sign_ins and recent.refused_sign_ins >= bounds.refused_sign_ins:
        yield AlertKind.SIGN_INS_FAIL, "", {"refused": recent.refused_sign_ins, "minutes": SIGN_IN_MINUTES}


def _replies(recent: Recent, bounds: AlertBounds) -> Iterator[_Wrong]:
    for model, minutes in recent.models.items():
        p95_ms = minutes.processing_ms.percentile(95) or 0
        if bounds.slow_ms and minutes.replies >= bounds.least_replies and p95_ms >= bounds.slow_ms:
            evidence: Evidence = {"model": model, "replies": minutes.replies, "p95_ms": round(p95_ms)}
            yield AlertKind.SLOW_REPLIES, model, evidence


def _machine(figures: Figures, bounds: AlertBounds) -> Iterator[_Wrong]:
    machine = figures.machine
    if 100 * machine.disk_free_bytes < bounds.disk_percent * machine.disk_total_bytes:
        evidence: Evidence = {"free_bytes": machine.disk_free_bytes, "total_bytes": machine.disk_total_bytes}
        yield AlertKind.DISK_FULL, "", evidence


def of_jobs(figures: Figures, bounds: AlertBounds) -> Iterator[Finding]:
    """Yield that jobs wait for too long. A runner that does nothing cannot say so, so each process looks."""
    if figures.stored is None or figures.stored.oldest_due_at is None:
        return
    waited_s = (figures.at - figures.stored.oldest_due_at).total_seconds()
    if waited_s >= bounds.due_s:
        evidence = {"waited_s": round(waited_s)}
        yield Finding(kind=AlertKind.OUTBOX_OLD, subject="jobs", source=JOBS, evidence=evidence)


def of_backups(figures: Figures, bounds: AlertBounds) -> Iterator[Finding]:
    """Yield that the last backup is too old, or that there is none. Each process looks, as at jobs that wait."""
    if figures.backup is None or not bounds.backup_age_s:
        return
    made_at = figures.backup.made_at
    age_s = (figures.at - made_at).total_seconds() if made_at else None
    if age_s is None or age_s >= bounds.backup_age_s:
        evidence: Evidence = {"age": "none" if age_s is None else f"{age_s / 3_600:.0f} h"}
        yield Finding(kind=AlertKind.BACKUP_OLD, subject="backups", source=BACKUPS, evidence=evidence)


def of_store(snapshot: Snapshot, now: datetime, bounds: AlertBounds) -> list[Finding]:
    """Return what the store shows to be wrong, for all processes."""
    return [*_failed_jobs(snapshot), *_refused_sign_ins(snapshot, now, bounds), *_money(snapshot, now, bounds)]


def _failed_jobs(snapshot: Snapshot) -> Iterator[Finding]:
    for (kind, state), count in snapshot.jobs.counts().items():
        if state == JobState.FAILED.value:
            yield Finding(kind=AlertKind.JOBS_FAIL, subject=kind, source=STORE, evidence={"job": kind, "failed": count})


def _refused_sign_ins(snapshot: Snapshot, now: datetime, bounds: AlertBounds) -> Iterator[Finding]:
    """Yield the addresses with most refused sign-ins, if these are too many."""
    if not bounds.refused_per_address:
        return
    period = Period(start=now - timedelta(minutes=SIGN_IN_MINUTES))
    filters = AuditFilter(action=AuditAction.SIGN_IN_FAILED, period=period)
    refused = Counter(record.address for record in snapshot.audit_trail.newest(filters, after=None, limit=MAX_SIGN_INS))
    for address, count in refused.most_common(MAX_ADDRESSES):
        if count >= bounds.refused_per_address:
            evidence = {"address": address, "refused": count, "minutes": SIGN_IN_MINUTES}
            yield Finding(kind=AlertKind.SIGN_INS_FAIL, subject=address or "unknown", source=STORE, evidence=evidence)


def _money(snapshot: Snapshot, now: datetime, bounds: AlertBounds) -> Iterator[Finding]:
    """Yield refunds and adjustments of a size, each for a day."""
    if not bounds.credits:
        return
    since = now - timedelta(hours=MONEY_HOURS)
    for event in snapshot.outbox.by_hand(since=since, at_least=bounds.credits, limit=100):
        evidence = {"event": event.kind.value, "amount": event.amount, "wallet_id": event.wallet_id}
        subject = event.entry_id or f"{event.wallet_id} {event.at.isoformat()}"
        yield Finding(kind=AlertKind.MONEY_MOVED, subject=subject, source=STORE, evidence=evidence)
