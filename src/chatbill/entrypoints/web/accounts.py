"""The JSON of an account, as its owner sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.open_account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimitView:
    """The most credits that a person wants to spend in a day and in a month of their time zone; null is no limit."""

    day: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account. `balance` and `low_balance` in credits; below `low_balance`, a notice is due."""

    id: str
    username: str
    email: str
    role: str
    balance: int
    created_at: datetime
    locale: str | None = None
    time_zone: str = "UTC"
    spending_limit: SpendingLimitView = SpendingLimitView()
    low_balance: int | None = None
    email_verified: bool = False

    @classmethod
    def of(cls, account: Account) -> AccountView:
        """Return the view of an account."""
        return cls(
            id=account.user_id,
            username=account.username,
            email=account.email,
            role=account.role.value,
            balance=account.balance,
            created_at=account.created_at,
            locale=account.locale,
            time_zone=account.limits.time_zone,
            spending_limit=SpendingLimitView(day=account.limits.day, month=account.limits.month),
            low_balance=account.low_balance,
            email_verified=account.email_verified,
        )
