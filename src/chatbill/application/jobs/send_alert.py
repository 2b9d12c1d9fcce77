"""Send an alert: tell the receiver outside the service about a change of an alert."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.notifier import Notifier
from chatbill.application.ports.store import Store
from chatbill.domain.jobs.jobs import Job
from chatbill.domain.shared.ids import AlertId


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAlert:
    """Send the alert that a job names, as it is now. The id of the job is that of the delivery, also when repeated."""

    store: Store
    notifier: Notifier

    async def __call__(self, job: Job) -> None:
        """Send it. Raises `NotDelivered`."""
        alert_id = AlertId(str(job.parameters["alert_id"]))
        alert = await self.store.read(lambda snapshot: snapshot.alerts.get(alert_id))
        if alert is not None:
            await self.notifier.send(job.id, str(job.parameters["change"]), alert)
