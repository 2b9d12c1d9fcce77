"""The payments port: a provider that takes money for credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatbill.domain.billing.payments import Payment, PaymentEvent


@dataclass(frozen=True, slots=True)
class Checkout:
    """The result of starting a payment: an event that is known at once, or the address where the person pays."""

    event: PaymentEvent | None = None
    url: str | None = None


class PaymentProvider(Protocol):
    """Collect money. A payment's id is its reference at the provider: asking twice collects once."""

    @property
    def name(self) -> str:
        """Return a short word that is stored with each payment."""
        ...

    async def collect(self, payment: Payment) -> Checkout:
        """Start, or find again, the collection of this payment."""
        ...
