"""The sandbox: a payment provider that takes no money and confirms every payment at once."""

from __future__ import annotations

from chatbill.application.ports.payments import Collected
from chatbill.domain.billing.payments import Payment


class SandboxPayments:
    """For trying chatbill out, and for houses that give credits away."""

    name = "sandbox"

    async def collect(self, payment: Payment) -> Collected:  # noqa: ARG002 - every payment is as good as another
        """The money is here."""
        return Collected()
