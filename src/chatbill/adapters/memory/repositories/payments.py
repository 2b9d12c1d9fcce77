"""Payments for credits."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.rows import insert
from chatbill.adapters.memory.tables import Table
from chatbill.domain.billing.payments import Payment, PaymentStatus
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import (
    PaymentId,
)


class MemoryPayments:
    """Payments by id."""

    def __init__(self) -> None:
        self.table: Table[str, Payment] = Table()

    def get(self, payment_id: PaymentId) -> Payment | None:
        return self.table.get(payment_id)

    lock = get

    def add(self, payment: Payment) -> None:
        insert(self.table, payment.id, payment)

    def save(self, payment: Payment) -> None:
        stored = self.table.get(payment.id)
        if stored is None or stored.status is not PaymentStatus.PENDING:
            raise InvariantViolation(f"payment {payment.id} is not pending")
        self.table.put(payment.id, payment)
