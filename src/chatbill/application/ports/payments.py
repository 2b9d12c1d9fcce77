"""The payments port: somebody who takes money for credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatbill.domain.billing.payments import Payment


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of the attempt: the money is here, or the person still has to pay at `checkout_url`."""

    checkout_url: str | None = None

    @property
    def confirmed(self) -> bool:
        """True when the money is here."""
        return self.checkout_url is None


class PaymentProvider(Protocol):
    """Collect money. A payment's id is its reference at the provider: asking twice collects once."""

    @property
    def name(self) -> str:
        """A short word that is stored with each payment."""
        ...

    async def collect(self, payment: Payment) -> Collected:
        """Start, or find again, the collection of this payment."""
        ...
