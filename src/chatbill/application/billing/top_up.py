"""Top up: add credits that were paid for, once for each payment."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.principal import Principal, require_sign_in
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.payments import PaymentProvider
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.payments import Package, Payment, PaymentStatus, PriceList
from chatbill.domain.shared.errors import InvalidRequest, InvariantViolation
from chatbill.domain.shared.idempotency import IdempotencyRecord, checked_key, fingerprint_of
from chatbill.domain.shared.ids import EntryId, PaymentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to buy: a package, or an amount of credits; exactly one of the two."""

    package: str | None = None
    amount: int | None = None
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes two orders the same request."""
        return fingerprint_of("top_up", package=self.package, amount=self.amount)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment, and where to pay while it is pending."""

    payment: Payment
    checkout_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """Sell credits.

    The order is recorded, then the provider is asked, then the credits are added; a crash in between is mended by
    asking again with the same key. Raises `InvalidRequest` and `IdempotencyMismatch`.
    """

    store: Store
    provider: PaymentProvider
    prices: PriceList
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, order: Order) -> Receipt:
        """Record the order, collect the money, add the credits."""
        require_sign_in(principal)
        payment = await self._record(principal, order, self._package(order))
        if payment.status is PaymentStatus.CONFIRMED:
            return Receipt(payment)
        collected = await self.provider.collect(payment)
        if not collected.confirmed:
            return Receipt(payment, collected.checkout_url)
        return Receipt(await self._confirm(payment))

    def _package(self, order: Order) -> Package:
        checked_key(order.idempotency_key)
        if order.package is not None and order.amount is None:
            return self.prices.package(order.package)
        if order.amount is not None and order.package is None:
            return self.prices.amount(order.amount)
        raise InvalidRequest.of("package", "package_or_amount")

    async def _record(self, principal: Principal, order: Order, package: Package) -> Payment:
        """The payment that stands for this order: a new one, or the first one with this key."""
        now = self.clock()
        payment = Payment(
            id=PaymentId(self.new_id()),
            user_id=principal.user_id,
            wallet_id=principal.wallet_id,
            package=package.id,
            credits=package.total,
            price=package.price,
            provider=self.provider.name,
            created_at=now,
        )

        def work(tx: Transaction) -> Payment:
            if key := order.idempotency_key:
                record = IdempotencyRecord(
                    user_id=principal.user_id,
                    key=key,
                    fingerprint=order.fingerprint,
                    created_at=now,
                    subject_id=payment.id,
                )
                if earlier := tx.idempotency.claim(record):
                    earlier.check(order.fingerprint)
                    return _existing(tx, earlier)
            tx.payments.add(payment)
            return payment

        return await self.store.write(work)

    async def _confirm(self, payment: Payment) -> Payment:
        """Add the credits, unless that was done already."""
        now, entry_id = self.clock(), EntryId(self.new_id())

        def work(tx: Transaction) -> Payment:
            wallet = tx.wallets.lock(payment.wallet_id)
            current = tx.payments.lock(payment.id)
            if current is None:
                raise InvariantViolation(f"payment {payment.id} does not exist")
            if current.status is PaymentStatus.CONFIRMED:
                return current
            cause = Cause(description=f"Top-up, {payment.package}", payment_id=payment.id)
            entry = wallet.top_up(current.credits, entry_id=entry_id, at=now, cause=cause)
            current.confirm(at=now, balance_after=entry.balance_after)
            tx.wallets.save(wallet)
            tx.ledger.append(entry)
            tx.payments.save(current)
            return current

        return await self.store.write(work)


def _existing(tx: Transaction, record: IdempotencyRecord) -> Payment:
    payment = tx.payments.get(PaymentId(record.subject_id)) if record.subject_id else None
    if payment is None:
        raise InvariantViolation(f"idempotency record {record.key!r} names no payment")
    return payment
