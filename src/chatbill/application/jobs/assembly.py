"""The use cases of jobs: a handler for each kind, and the schedules of periodic ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatbill.application.accounts.letters import SEND_LETTER, TIMEOUT_S, SendLetter
from chatbill.application.audit.assembly import AuditUseCases
from chatbill.application.jobs.handlers import Handler, counted
from chatbill.application.jobs.list_jobs import ListJobs, RetryJob
from chatbill.application.jobs.run_jobs import RunJobs
from chatbill.application.jobs.send_alert import SendAlert
from chatbill.application.jobs.watch_ledger import WatchLedger
from chatbill.application.maintenance.assembly import MaintenanceUseCases
from chatbill.application.monitoring.assembly import MonitoringUseCases, notifiers_of
from chatbill.application.policy import Policy
from chatbill.application.ports.mail import Mailer
from chatbill.application.ports.metrics import Metrics
from chatbill.application.ports.provider import PortProvider
from chatbill.domain.jobs.jobs import Schedule

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
BACKUP_S: Final = 2 * HOUR_S
"""Daily backups are due at 02:00 UTC."""
BACKUP_TIMEOUT_S: Final = 12 * HOUR_S
NIGHT_S: Final = 3 * HOUR_S
"""The ledger is verified at 03:00 UTC."""


class JobUseCases:
    """Holds the runner of jobs, and the use cases by which an operator lists and retries them."""

    def __init__(
        self,
        ports: PortProvider,
        policy: Policy,
        metrics: Metrics,
        *,
        maintenance: MaintenanceUseCases,
        audit: AuditUseCases,
        monitoring: MonitoringUseCases,
    ) -> None:
        self.list_jobs = ListJobs(store=ports.store)
        self.retry_job = RetryJob(store=ports.store, clock=ports.clock)
        handlers: dict[str, Handler] = {
            "forget_sessions": counted(maintenance.forget_sessions),
            "forget_events": counted(maintenance.forget_events),
            "forget_jobs": counted(maintenance.forget_jobs),
            "verify_ledger": Handler(
                work=WatchLedger(verify_ledger=audit.verify_ledger, record=monitoring.record_findings)
            ),
            "watch_store": counted(monitoring.watch_store),
        }
        schedules = [
            Schedule(kind="forget_sessions", every_s=HOUR_S),
            Schedule(kind="forget_events", every_s=HOUR_S, offset_s=10 * MINUTE_S),
            Schedule(kind="forget_jobs", every_s=HOUR_S, offset_s=20 * MINUTE_S),
            Schedule(kind="verify_ledger", every_s=DAY_S, offset_s=NIGHT_S),
            Schedule(kind="watch_store", every_s=MINUTE_S),
        ]
        for kind, notifier in notifiers_of(ports).items():
            handlers[kind] = Handler(work=SendAlert(store=ports.store, notifier=notifier), timeout_s=60)
        if ports.mailer is not None:
            handlers[SEND_LETTER] = Handler(work=_letters(ports, ports.mailer), timeout_s=TIMEOUT_S)
        if policy.keep_texts_days:
            handlers["forget_texts"] = counted(maintenance.forget_texts)
            schedules.append(Schedule(kind="forget_texts", every_s=HOUR_S, offset_s=30 * MINUTE_S))
        if (backups := ports.backups) is not None:
            handlers["back_up"] = Handler(work=lambda _job: backups.make(), timeout_s=BACKUP_TIMEOUT_S)
            every_s = policy.backup_every_hours * HOUR_S
            schedules.append(Schedule(kind="back_up", every_s=every_s, offset_s=BACKUP_S % every_s))
        self.run_jobs = _runner(ports, metrics, handlers, tuple(schedules))


def _letters(ports: PortProvider, mailer: Mailer) -> SendLetter:
    return SendLetter(store=ports.store, mailer=mailer, tokens=ports.tokens, clock=ports.clock, new_id=ports.new_id)


def _runner(
    ports: PortProvider, metrics: Metrics, handlers: Mapping[str, Handler], schedules: tuple[Schedule, ...]
) -> RunJobs:
    return RunJobs(
        store=ports.store,
        clock=ports.clock,
        new_id=ports.new_id,
        metrics=metrics,
        handlers=handlers,
        schedules=schedules,
    )
