"""The sandbox: a payment provider that takes no money and confirms every payment at once."""

from __future__ import annotations

from chatbill.application.ports.payments import Collected
from chatbill.domain.billing.payments import Payment


class SandboxPayments:
    """A provider for trials of chatbill, and for services that give credits away."""

    name = "sandbox"

    async def collect(self, payment: Payment) -> Collected:  # noqa: ARG002 - every payment is as good as another
        """Report the payment as collected."""
        return Collected()
