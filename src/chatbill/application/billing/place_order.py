"""Place an order: record what a person wants to buy, and ask the provider for the money."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from chatbill.application.billing.confirm_payment import ConfirmPayment
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.payments import PaymentProvider
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.billing.payments import Package, Payment, PaymentStatus, PriceList
from chatbill.domain.shared.errors import Forbidden, InvalidRequest, InvariantViolation
from chatbill.domain.shared.idempotency import IdempotencyRecord, checked_key, fingerprint_of
from chatbill.domain.shared.ids import PaymentId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request to buy credits: a package, or an amount of credits; exactly one of the two."""

    package: str | None = None
    amount: int | None = None
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return what makes two orders the same request."""
        return fingerprint_of("top_up", package=self.package, amount=self.amount)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment, and where to pay while it is pending."""

    payment: Payment
    checkout_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Sell credits.

    The order is recorded, then the provider is asked; what the provider knows at once is confirmed at once, and the
    rest comes as events. An order that a crash cut off goes on when it comes again with the same key. Raises
    `InvalidRequest`, `IdempotencyMismatch`, `RateLimited`, and `Forbidden` where there is no provider or no package on
    sale.
    """

    store: Store
    provider: PaymentProvider | None
    confirm_payment: ConfirmPayment
    prices: PriceList
    rate_limits: RateLimits
    limit: Limit
    clock: Clock
    new_id: NewId
    being_recorded: dict[tuple[UserId, str, str], asyncio.Task[Payment]] = field(default_factory=dict)

    async def __call__(self, principal: Principal, order: Order) -> Receipt:
        """Record the order and start its payment."""
        require_sign_in(principal)
        provider = self.provider
        if provider is None or not self.prices.packages:
            raise Forbidden("credits_not_sold")
        package = self._package(order)
        payment = await self._recorded_once(principal, order, package, provider.name)
        if payment.status is not PaymentStatus.PENDING:
            return Receipt(payment)
        checkout = await provider.collect(payment)
        if checkout.event is None:
            return Receipt(payment, checkout.url)
        return Receipt(await self.confirm_payment(checkout.event), checkout.url)

    def _package(self, order: Order) -> Package:
        checked_key(order.idempotency_key)
        if order.package is not None and order.amount is None:
            return self.prices.package(order.package)
        if order.amount is not None and order.package is None:
            return self.prices.amount(order.amount)
        raise InvalidRequest.of("package", "package_or_amount")

    async def _recorded_once(self, principal: Principal, order: Order, package: Package, provider: str) -> Payment:
        """Count and record an order. Repetitions that come meanwhile share the result, so they count once."""
        if order.idempotency_key is None:
            return await self._recorded(principal, order, package, provider)
        same = (principal.user_id, order.idempotency_key, order.fingerprint)
        task = self.being_recorded.get(same)
        if task is None:
            task = asyncio.create_task(self._recorded(principal, order, package, provider))
            self.being_recorded[same] = task
            task.add_done_callback(lambda _: self.being_recorded.pop(same))
        return await asyncio.shield(task)

    async def _recorded(self, principal: Principal, order: Order, package: Package, provider: str) -> Payment:
        await self._count(principal, order)
        return await self._record(principal, order, package, provider)

    async def _count(self, principal: Principal, order: Order) -> None:
        """Count an order, unless it repeats an earlier one. Raises `RateLimited` if there are too many."""
        if key := order.idempotency_key:
            record = await self.store.read(lambda snapshot: snapshot.idempotency.get(principal.user_id, key))
            if record is not None:
                return
        await self.rate_limits.hit(self.limit, principal.user_id)

    async def _record(self, principal: Principal, order: Order, package: Package, provider: str) -> Payment:
        """Return the payment that stands for this order: a new one, or the first one with this key."""
        now = self.clock()
        payment = Payment(
            id=PaymentId(self.new_id()),
            user_id=principal.user_id,
            wallet_id=principal.wallet_id,
            package=package.id,
            credits=package.total,
            bonus=package.bonus,
            price=package.price,
            provider=provider,
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


def _existing(tx: Transaction, record: IdempotencyRecord) -> Payment:
    payment = tx.payments.get(PaymentId(record.subject_id)) if record.subject_id else None
    if payment is None:
        raise InvariantViolation(f"idempotency record {record.key!r} names no payment")
    return payment
