"""What credits cost in money, and the record of every purchase."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_UP, Decimal
from enum import StrEnum

from chatbill.domain.shared.errors import InvalidRequest, InvariantViolation
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
        """Credits that arrive in the wallet."""
        return self.credits + self.bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Everything that can be bought: packages, or any number of credits within bounds at `unit_price` each."""

    packages: tuple[Package, ...]
    unit_price: Money
    min_credits: int = 1
    max_credits: int = 1_000_000

    def package(self, package_id: str) -> Package:
        """The package with this id, or `InvalidRequest` with the ids that exist."""
        for package in self.packages:
            if package.id == package_id:
                return package
        known = ", ".join(package.id for package in self.packages)
        raise InvalidRequest.of("package", "unknown_package", known=known)

    def amount(self, credits_wanted: int) -> Package:
        """A package made to measure, without a bonus."""
        if not self.min_credits <= credits_wanted <= self.max_credits:
            raise InvalidRequest.of("amount", "credits_out_of_range", min=self.min_credits, max=self.max_credits)
        exact = self.unit_price.amount * credits_wanted
        price = Money(exact.quantize(CENT, rounding=ROUND_UP), self.unit_price.currency)
        return Package(id="custom", credits=credits_wanted, bonus=0, price=price)


class PaymentStatus(StrEnum):
    """Where a purchase stands."""

    PENDING = "pending"
    CONFIRMED = "confirmed"


@dataclass(slots=True, kw_only=True)
class Payment:
    """One purchase. `credits` (bonus included) arrive once, when the payment is confirmed.

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

    def confirm(self, *, at: datetime, balance_after: int) -> None:
        """Note that the money came and the credits were added."""
        if self.status is not PaymentStatus.PENDING:
            raise InvariantViolation(f"payment {self.id} is already {self.status}")
        self.status = PaymentStatus.CONFIRMED
        self.confirmed_at = at
        self.balance_after = balance_after
