"""The view of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatbill.domain.monitoring.alerts import Alert
from chatbill.entrypoints.web.texts.monitoring import alert_text


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """One alert. `times` is how often it was notified. `evidence` depends on the kind."""

    id: str
    kind: str
    subject: str
    severity: str
    message: str
    evidence: dict[str, Any]
    times: int
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None

    @classmethod
    def of(cls, alert: Alert) -> AlertView:
        """Return the view of an alert."""
        return cls(
            id=alert.id,
            kind=alert.kind.value,
            subject=alert.subject,
            severity=alert.severity.value,
            message=alert_text(alert.kind.value, alert.evidence),
            evidence=dict(alert.evidence),
            times=alert.times,
            opened_at=alert.opened_at,
            seen_at=alert.seen_at,
            closed_at=alert.closed_at,
            acknowledged_at=alert.acknowledged_at,
            acknowledged_by=alert.acknowledged_by,
        )
