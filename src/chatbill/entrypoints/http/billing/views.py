"""Response bodies of balances, packages, purchases and transactions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from chatbill.application.billing.place_order import Receipt
from chatbill.application.shared.paging import Page
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.billing.payments import Package
from chatbill.domain.billing.wallets import Wallet
from chatbill.entrypoints.web.own_rows import TransactionView


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceView:
    """Credits owned, promised to running replies, and free to spend."""

    balance: int
    held: int
    available: int

    @classmethod
    def of(cls, wallet: Wallet) -> BalanceView:
        """Return the view of a wallet."""
        return cls(balance=wallet.posted, held=wallet.held, available=wallet.available)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyView:
    """An amount of money. It is text in JSON, so that no decimal is lost."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """Credits sold together; `bonus` comes on top of `credits`."""

    id: str
    credits: int
    bonus: int
    price: MoneyView

    @classmethod
    def of(cls, package: Package) -> PackageView:
        """Return the view of a package."""
        price = MoneyView(amount=package.price.amount, currency=package.price.currency)
        return cls(id=package.id, credits=package.credits, bonus=package.bonus, price=price)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptView:
    """A purchase. While it is `pending`, no credits are added and `checkout_url` is where to pay."""

    payment_id: str
    status: str
    credits_added: int
    balance: int | None = None
    checkout_url: str | None = None

    @classmethod
    def confirmed(cls, receipt: Receipt) -> ReceiptView:
        """Return the view of a confirmed purchase, with the balance right after it."""
        payment = receipt.payment
        return cls(
            payment_id=payment.id,
            status=payment.status.value,
            credits_added=payment.credits,
            balance=payment.balance_after,
            checkout_url=None,
        )

    @classmethod
    def pending(cls, receipt: Receipt, *, balance: int) -> ReceiptView:
        """Return the view of a pending purchase, with the balance without it."""
        payment = receipt.payment
        return cls(
            payment_id=payment.id,
            status=payment.status.value,
            credits_added=0,
            balance=balance,
            checkout_url=receipt.checkout_url,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionsView:
    """Movements of credits, newest first."""

    items: list[TransactionView]
    next_cursor: str | None = None

    @classmethod
    def of(cls, page: Page[LedgerEntry]) -> TransactionsView:
        """Return the view of a page of transactions."""
        return cls(items=[TransactionView.of(item) for item in page.items], next_cursor=page.next_cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemedView:
    """A code that was redeemed: the credits that it was worth, and the balance after it."""

    credits_added: int
    balance: int

    @classmethod
    def of(cls, entry: LedgerEntry) -> RedeemedView:
        """Return the view of the entry of a code."""
        return cls(credits_added=entry.amount, balance=entry.balance_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionsExportView:
    """All movements of credits, newest first."""

    items: list[TransactionView]
