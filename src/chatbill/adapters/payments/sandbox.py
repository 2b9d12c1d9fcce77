"""The sandbox: a payment provider that takes no money and confirms every payment at once."""

from __future__ import annotations

from chatbill.application.ports.payments import Checkout
from chatbill.domain.billing.payments import Payment, PaymentEvent, PaymentStatus


class SandboxPayments:
    """Confirms every payment and takes no money: for trials, and for operators that give credits away."""

    name = "sandbox"

    async def collect(self, payment: Payment) -> Checkout:
        """Return the event that the money has come."""
        return Checkout(event=PaymentEvent(payment_id=payment.id, status=PaymentStatus.CONFIRMED, price=payment.price))
