"""Prices of credits in money, and the record of every purchase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from chatbill.domain.shared.errors import Conflict, InvalidRequest, InvariantViolation
from chatbill.domain.shared.ids import PaymentId, UserId, WalletId

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency (ISO 4217), to two decimals."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Credits sold together: `credits` paid for, and `bonus` on top."""

    id: str
    credits: int
    bonus: int
    price: Money

    @property
    def total(self) -> int:
        """Return the credits that arrive in the wallet."""
        return self.credits + self.bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """The offers: packages, or any number of credits within bounds at `unit_price` each.

    Without packages, nothing is sold.
    """

    packages: tuple[Package, ...]
    unit_price: Money
    min_credits: int = 1
    max_credits: int = 1_000_000

    def package(self, package_id: str) -> Package:
        """Return the package with this id. Raises `InvalidRequest`, which names the ids that exist."""
        for package in self.packages:
            if package.id == package_id:
                return package
        known = ", ".join(package.id for package in self.packages)
        raise InvalidRequest.of("package", "unknown_package", known=known)

    def amount(self, credits_wanted: int) -> Package:
        """Return a package of this many credits, without a bonus."""
        if not self.min_credits <= credits_wanted <= self.max_credits:
            raise InvalidRequest.of("amount", "credits_out_of_range", min=self.min_credits, max=self.max_credits)
        exact = self.unit_price.amount * credits_wanted
        price = Money(exact.quantize(CENT, rounding=ROUND_UP), self.unit_price.currency)
        return Package(id="custom", credits=credits_wanted, bonus=0, price=price)


class PaymentStatus(StrEnum):
    """The states of a purchase."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUNDED = "refunded"


_NEXT = {
    PaymentStatus.PENDING: {PaymentStatus.CONFIRMED, PaymentStatus.FAILED},
    # A provider may collect the money after all, and says so later.
    PaymentStatus.FAILED: {PaymentStatus.CONFIRMED},
    PaymentStatus.CONFIRMED: {PaymentStatus.REFUNDED},
    PaymentStatus.REFUNDED: set[PaymentStatus](),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """A provider's report about a payment: its status there, and the amount of money if given.

    The same event may come again, and events may come late.
    """

    payment_id: PaymentId
    status: PaymentStatus
    price: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One purchase. `credits`, of which `bonus` are free, arrive once, when the payment is confirmed.

    `balance_after` is what the wallet owned right after that.
    """

    id: PaymentId
    user_id: UserId
    wallet_id: WalletId
    package: str
    credits: int
    price: Money
    provider: str
    created_at: datetime
    status: PaymentStatus = PaymentStatus.PENDING
    confirmed_at: datetime | None = None
    balance_after: int | None = None
    refunded_at: datetime | None = None
    bonus: int = 0

    def is_changed_by(self, event: PaymentEvent) -> bool:
        """Return whether the event says something new. Raises `Conflict`.

        That is for other money than was asked for, and for a refund before its confirmation, which has to come again.
        """
        if event.price is not None and event.price != self.price:
            raise Conflict(
                "other_money",
                asked=f"{self.price.amount} {self.price.currency}",
                paid=f"{event.price.amount} {event.price.currency}",
            )
        if event.status is PaymentStatus.REFUNDED and self.confirmed_at is None:
            # Its confirmation is still on the way: the provider has to say this again after it.
            raise Conflict("refund_before_confirmation")
        return self.may_become(event.status)

    def may_become(self, status: PaymentStatus) -> bool:
        """Return whether the payment can change to this status."""
        return status in _NEXT[self.status]

    def confirmed(self, *, at: datetime, balance_after: int) -> Payment:
        """Return the payment once its money came and its credits were added."""
        return replace(self._in(PaymentStatus.CONFIRMED), confirmed_at=at, balance_after=balance_after)

    def failed(self) -> Payment:
        """Return the payment once it is known that no money comes."""
        return self._in(PaymentStatus.FAILED)

    def refunded(self, *, at: datetime) -> Payment:
        """Return the payment once its money went back and its credits were taken."""
        return replace(self._in(PaymentStatus.REFUNDED), refunded_at=at)

    def _in(self, status: PaymentStatus) -> Payment:
        if not self.may_become(status):
            raise InvariantViolation(f"payment {self.id} is {self.status} and cannot become {status}")
        return replace(self, status=status)
