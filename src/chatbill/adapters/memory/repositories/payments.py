"""Payments for credits."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.billing.payments import Payment
from chatbill.domain.shared.ids import PaymentId


class MemoryPayments:
    """Payments by id."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, payment_id: PaymentId) -> Payment | None:
        return self._tables.payments.get(payment_id)

    lock = get

    def add(self, payment: Payment) -> None:
        require_row(self._tables.users.get, payment.user_id, "user")
        require_row(self._tables.wallets.get, payment.wallet_id, "wallet")
        self._tables.payments.insert(payment.id, payment)

    def save(self, payment: Payment) -> None:
        self._tables.payments.replace(payment.id, payment)
