"""Response bodies of accounts and sign-ins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.open_account import Account
from chatbill.application.accounts.set_second_factor import NewSecret
from chatbill.application.accounts.sign_in import SignedIn


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensView:
    """A pair of tokens. The access token is valid for `expires_in` seconds."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int

    @classmethod
    def of(cls, signed_in: SignedIn) -> TokensView:
        """Return the view of a pair of tokens."""
        return cls(
            access_token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
            token_type="bearer",  # noqa: S106 - the scheme's name (RFC 6750), not a token
            expires_in=signed_in.expires_in_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretView:
    """A secret for an app: as text to type in, and as an address for a QR code."""

    secret: str
    otpauth: str

    @classmethod
    def of(cls, new: NewSecret) -> SecretView:
        """Return the view of a new secret."""
        return cls(secret=new.secret, otpauth=new.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesView:
    """Recovery codes, each good once."""

    recovery_codes: list[str]
