"""The notifier port: it tells a receiver outside the service about alerts."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.monitoring.alerts import Alert
from chatbill.domain.shared.errors import ChatbillError


class NotDelivered(ChatbillError):
    """Raised when the receiver could not be told. The text is for operators and logs."""

    code = "not_delivered"


class Notifier(Protocol):
    """Tells a receiver about a change of an alert."""

    async def send(self, delivery_id: str, change: str, alert: Alert) -> None:
        """Tell the receiver, within a bounded time. Raises `NotDelivered`.

        It may be told twice about a change, and then with the same `delivery_id`.
        """
        ...
