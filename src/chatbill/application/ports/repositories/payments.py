"""The repository of payments."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.billing.payments import Payment
from chatbill.domain.shared.ids import (
    PaymentId,
)


class PaymentReader(Protocol):
    def get(self, payment_id: PaymentId) -> Payment | None: ...


class PaymentRepository(PaymentReader, Protocol):
    def lock(self, payment_id: PaymentId) -> Payment | None:
        """Return the same as `get`, and prevent changes by other transactions until this one ends."""
        ...

    def add(self, payment: Payment) -> None: ...

    def save(self, payment: Payment) -> None:
        """Store the new status of a payment. Raises `InvariantViolation` for a change that is not allowed."""
        ...
