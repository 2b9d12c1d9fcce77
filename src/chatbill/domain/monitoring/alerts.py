"""Alerts: what is wrong with the service, from the time it was noticed until it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from chatbill.domain.shared.errors import Conflict
from chatbill.domain.shared.ids import AlertId, UserId

COOL_DOWN_S: Final = 3_600
"""How long an open alert is not notified again."""
STALE_S: Final = 900
"""An alert of a process that was not found again for this time is over: the process is gone."""
SAVED_EVERY_S: Final = 300
OF_PROCESS: Final = "process:"
"""How the source of a process begins."""

Evidence: TypeAlias = Mapping[str, str | int | float | None]


class AlertKind(StrEnum):
    """What can be wrong."""

    SIGN_INS_FAIL = "sign_ins_fail"
    MODEL_UNHEALTHY = "model_unhealthy"
    ERROR_RATE = "error_rate"
    SLOW_REPLIES = "slow_replies"
    QUEUE_FULL = "queue_full"
    DISK_FULL = "disk_full"
    OUTBOX_OLD = "outbox_old"
    JOBS_FAIL = "jobs_fail"
    BACKUP_OLD = "backup_old"
    LEDGER_MISMATCH = "ledger_mismatch"
    MONEY_MOVED = "money_moved"


class Severity(StrEnum):
    """How soon a person should look."""

    WARNING = "warning"
    CRITICAL = "critical"


CRITICAL: Final = frozenset(
    {AlertKind.LEDGER_MISMATCH, AlertKind.DISK_FULL, AlertKind.MODEL_UNHEALTHY, AlertKind.BACKUP_OLD}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong now. `subject` tells two findings of a kind apart: a model, a process, an address.

    `source` is where it was found: findings of one source are complete, so what it does not find again is over.
    """

    kind: AlertKind
    subject: str
    source: str
    evidence: Evidence = field(default_factory=lambda: MappingProxyType({}))

    @property
    def severity(self) -> Severity:
        """Return how serious it is."""
        return Severity.CRITICAL if self.kind in CRITICAL else Severity.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A finding that is on record. `times` is how often it was notified, and `seen_at` when it was found last.

    There is one open alert of a kind and subject. `acknowledged_by` is the person who knows of it; it is not notified
    again then.
    """

    id: AlertId
    kind: AlertKind
    subject: str
    source: str
    severity: Severity
    evidence: Evidence
    opened_at: datetime
    seen_at: datetime
    notified_at: datetime
    times: int = 1
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: UserId | None = None

    @classmethod
    def of(cls, finding: Finding, alert_id: AlertId, *, at: datetime) -> Alert:
        """Return a new alert."""
        return cls(
            id=alert_id,
            kind=finding.kind,
            subject=finding.subject,
            source=finding.source,
            severity=finding.severity,
            evidence=finding.evidence,
            opened_at=at,
            seen_at=at,
            notified_at=at,
        )

    @property
    def is_open(self) -> bool:
        """Return True until it is over."""
        return self.closed_at is None

    def seen(self, finding: Finding, *, at: datetime) -> Alert:
        """Return the alert with what is known now. It is notified again after the cool-down."""
        again = self.acknowledged_at is None and at - self.notified_at >= timedelta(seconds=COOL_DOWN_S)
        return replace(
            self,
            evidence=finding.evidence,
            source=finding.source,
            seen_at=at,
            notified_at=at if again else self.notified_at,
            times=self.times + again,
        )

    def is_stale(self, *, at: datetime) -> bool:
        """Return True if it was not found for so long that the process that found it must be gone."""
        return self.source.startswith(OF_PROCESS) and at - self.seen_at >= timedelta(seconds=STALE_S)

    def is_worth_saving(self, *, at: datetime) -> bool:
        """Return True if it was not saved a short time ago, so that an open alert is not written each time."""
        return at - self.seen_at >= timedelta(seconds=SAVED_EVERY_S)

    def closed(self, *, at: datetime) -> Alert:
        """Return the alert as it ended."""
        return replace(self, closed_at=at)

    def acknowledged(self, by: UserId, *, at: datetime) -> Alert:
        """Return the alert with the person who knows of it. Raises `Conflict` where there is one already."""
        if self.acknowledged_at is not None:
            raise Conflict("alert_acknowledged")
        return replace(self, acknowledged_at=at, acknowledged_by=by)
