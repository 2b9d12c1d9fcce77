"""Record findings: open an alert for what is wrong, notify again after a while, and close what is over."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.monitoring.alerts import Alert, Finding
from chatbill.domain.shared.ids import AlertId, JobId

SEND_ALERT: Final = "send_alert"
MAIL_ALERT: Final = "mail_alert"
"""The kinds of the jobs that tell others about alerts. Each receiver has its own, so that none waits for another."""
MAX_FINDINGS: Final = 100
"""Findings of one source beyond these open no alert, so that an attacker cannot fill the table."""

_log = logging.getLogger(__name__)


class AlertChange(StrEnum):
    """What happened to an alert."""

    OPENED = "opened"
    REPEATED = "repeated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFindings:
    """Keep the alerts of a source up to date. Each change queues a job of each kind in `sends`, in the transaction."""

    store: Store
    clock: Clock
    new_id: NewId
    sends: tuple[str, ...]

    async def __call__(self, source: str, findings: Sequence[Finding]) -> list[tuple[AlertChange, Alert]]:
        """Record everything that `source` has found now; return what changed. Alerts that it did not find are over."""
        now = self.clock()
        if not findings:
            of_interest = await self.store.read(
                lambda snapshot: any(
                    alert.source == source or alert.is_stale(at=now) for alert in snapshot.alerts.open_ones()
                )
            )
            if not of_interest:
                return []
        changes = await self.store.write(lambda tx: self._record(tx, source, findings[:MAX_FINDINGS]))
        for change, alert in changes:
            facts = {"kind": alert.kind.value, "subject": alert.subject, "change": change.value, **alert.evidence}
            level = logging.INFO if change is AlertChange.CLOSED else logging.WARNING
            _log.log(level, "alert", extra={"alert_id": alert.id, **{f"alert_{key}": facts[key] for key in facts}})
        return changes

    def _record(self, tx: Transaction, source: str, findings: Sequence[Finding]) -> list[tuple[AlertChange, Alert]]:
        now = self.clock()
        found = {(finding.kind, finding.subject): finding for finding in findings}
        changes: list[tuple[AlertChange, Alert]] = []
        for listed in tx.alerts.open_ones():
            finding = found.pop((listed.kind, listed.subject), None)
            is_over = finding is None and (listed.source == source or listed.is_stale(at=now))
            if not (is_over or (finding and listed.is_worth_saving(at=now))):
                continue
            # Locked, or an acknowledgement at the same moment would be undone.
            alert = tx.alerts.lock(listed.id)
            if alert is None or not alert.is_open:
                continue
            changed = alert.seen(finding, at=now) if finding else alert.closed(at=now)
            tx.alerts.save(changed)
            if finding is None or changed.times > alert.times:
                changes.append((AlertChange.REPEATED if finding else AlertChange.CLOSED, changed))
        for finding in found.values():
            alert = Alert.of(finding, AlertId(self.new_id()), at=now)
            # Another process may have opened it at this moment.
            if tx.alerts.add(alert):
                changes.append((AlertChange.OPENED, alert))
        for change, alert in changes:
            for kind in self.sends:
                tx.jobs.add(self._job(kind, change, alert))
        return changes

    def _job(self, kind: str, change: AlertChange, alert: Alert) -> Job:
        now = self.clock()
        parameters = {"alert_id": alert.id, "change": change.value}
        return Job(id=JobId(self.new_id()), kind=kind, created_at=now, due_at=now, parameters=parameters)
