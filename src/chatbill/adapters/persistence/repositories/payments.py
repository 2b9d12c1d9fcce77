"""Keep payments in SQL. Each change of their status happens once."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import literal_column

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, locking, update
from chatbill.adapters.persistence.sql.tables import payments
from chatbill.domain.billing.payments import CENT, Money, Payment, PaymentStatus
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import PaymentId


def _money(hundredths: int, currency: str) -> Money:
    return Money(Decimal(hundredths).scaleb(-2), currency)


def _hundredths(price: Money) -> tuple[int, str]:
    scaled = price.amount / CENT
    if scaled != int(scaled):
        raise InvariantViolation(f"{price.amount} {price.currency} has more than two decimals")
    return int(scaled), price.currency


_PAYMENTS = Mapping(payments, Payment, Part("price", ("price_hundredths", "currency"), _money, _hundredths))
_BY_ID = all_of(payments, equals(payments.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_SAVE = {
    status: update(
        payments, *_PAYMENTS.changing, where=(equals(payments.c.id), payments.c.status.in_(map(literal_column, before)))
    )
    for status, before in (
        (PaymentStatus.CONFIRMED, ("'pending'", "'failed'")),
        (PaymentStatus.FAILED, ("'pending'",)),
        (PaymentStatus.REFUNDED, ("'confirmed'",)),
    )
}
"""By the status that the payment reaches: it must come from one before that."""


class SqlPayments:
    """Payments by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, payment_id: PaymentId) -> Payment | None:
        return _PAYMENTS.one(self._connection.one(_GET, id=payment_id))

    def lock(self, payment_id: PaymentId) -> Payment | None:
        return _PAYMENTS.one(self._connection.one(_LOCK, id=payment_id))

    def add(self, payment: Payment) -> None:
        self._connection.put(_PAYMENTS.add, **_PAYMENTS.values(payment))

    def save(self, payment: Payment) -> None:
        def refused() -> InvariantViolation:
            return InvariantViolation(f"payment {payment.id} cannot become {payment.status} now")

        if payment.status not in _SAVE:
            raise refused()
        self._connection.put(_SAVE[payment.status], **_PAYMENTS.changes(payment), or_else=refused)
