"""Payments, each of which is confirmed once."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import literal_column

from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, locking, update
from chatbill.adapters.persistence.sql.tables import payments
from chatbill.domain.billing.payments import CENT, Money, Payment, PaymentStatus
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import PaymentId

_BY_ID = all_of(payments, equals(payments.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_ADD = insert(payments)
_PENDING = payments.c.status == literal_column("'pending'")
_SAVE = update(payments, "status", "confirmed_at", "balance_after", where=(equals(payments.c.id), _PENDING))


class SqlPayments:
    """Payments by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, payment_id: PaymentId) -> Payment | None:
        return _payment(self._connection.one(_GET, id=payment_id))

    def lock(self, payment_id: PaymentId) -> Payment | None:
        return _payment(self._connection.one(_LOCK, id=payment_id))

    def add(self, payment: Payment) -> None:
        self._connection.put(
            _ADD,
            id=payment.id,
            user_id=payment.user_id,
            wallet_id=payment.wallet_id,
            package=payment.package,
            credits=payment.credits,
            price_hundredths=_hundredths(payment.price),
            currency=payment.price.currency,
            provider=payment.provider,
            created_at=payment.created_at,
            status=payment.status.value,
            confirmed_at=payment.confirmed_at,
            balance_after=payment.balance_after,
        )

    def save(self, payment: Payment) -> None:
        self._connection.put(
            _SAVE,
            id=payment.id,
            status=payment.status.value,
            confirmed_at=payment.confirmed_at,
            balance_after=payment.balance_after,
            or_else=InvariantViolation(f"payment {payment.id} is not pending"),
        )


def _hundredths(price: Money) -> int:
    scaled = price.amount / CENT
    if scaled != int(scaled):
        raise InvariantViolation(f"{price.amount} {price.currency} has more than two decimals")
    return int(scaled)


def _payment(row: Row | None) -> Payment | None:
    if row is None:
        return None
    id_, user_id, wallet_id, package, credits_, price_hundredths, currency, provider, created_at = row[:9]
    status, confirmed_at, balance_after = row[9:]
    return Payment(
        id=id_,
        user_id=user_id,
        wallet_id=wallet_id,
        package=package,
        credits=credits_,
        price=Money(Decimal(price_hundredths).scaleb(-2), currency),
        provider=provider,
        created_at=created_at,
        status=PaymentStatus(status),
        confirmed_at=confirmed_at,
        balance_after=balance_after,
    )
