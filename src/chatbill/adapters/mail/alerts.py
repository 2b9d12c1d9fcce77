"""Sends alerts by mail, to the operators of the service."""

from __future__ import annotations

from collections.abc import Iterator

from chatbill.adapters.mail.smtp import MailServer, deliver
from chatbill.application.ports.mail import NotSent
from chatbill.application.ports.notifier import NotDelivered
from chatbill.domain.monitoring.alerts import Alert


class AlertMailer:
    """Sends an alert to all recipients in one letter."""

    def __init__(self, server: MailServer, *, sender: str, service: str, recipients: tuple[str, ...]) -> None:
        self._server = server
        self._sender = sender
        self._service = service
        self._recipients = recipients

    async def send(self, delivery_id: str, change: str, alert: Alert) -> None:
        """Send the alert. What others may have written, such as a username, is in the text and in no header."""
        try:
            await deliver(
                self._server,
                id_=delivery_id,
                sender=self._sender,
                service=self._service,
                recipients=self._recipients,
                subject=f"[{self._service}] {alert.severity.value}: {_words(alert.kind.value)} ({change})",
                body="\n".join(_lines(change, alert)) + "\n",
            )
        except NotSent as error:
            raise NotDelivered(str(error)) from None


def _lines(change: str, alert: Alert) -> Iterator[str]:
    yield f"Alert {change}: {_words(alert.kind.value)}, {alert.severity.value}"
    yield f"What: {_on_one_line(alert.subject)}"
    for name, value in alert.evidence.items():
        yield f"{_words(name)}: {_on_one_line(str(value))}"
    for name in ("opened_at", "seen_at", "closed_at", "acknowledged_at"):
        if moment := getattr(alert, name):
            yield f"{_words(name)}: {moment:%Y-%m-%d %H:%M:%S} UTC"
    yield f"notified: {alert.times} times"
    yield f"id: {alert.id}"


def _words(code: str) -> str:
    return code.replace("_", " ")


def _on_one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
