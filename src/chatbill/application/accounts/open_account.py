"""Opens an account and its wallet in a transaction, with the welcome credits in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.find_user import refuse_taken_email, refuse_taken_username
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import NewId
from chatbill.application.ports.repositories.users import UserReader
from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.preferences import NO_LIMITS, SpendingLimits
from chatbill.domain.accounts.users import NewAccount, User, UserRole
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import EntryId, UserId, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account and the credits in its wallet."""

    user_id: UserId
    username: str
    email: str
    role: UserRole
    balance: int
    created_at: datetime
    locale: str | None = None
    low_balance: int | None = None
    limits: SpendingLimits = NO_LIMITS
    email_verified: bool = False

    @classmethod
    def of(cls, user: User, wallet: Wallet) -> Account:
        """Return what a user may see of their own account."""
        return cls(
            user_id=user.id,
            username=user.username,
            email=user.email,
            role=user.role,
            balance=wallet.posted,
            created_at=user.created_at,
            locale=user.locale,
            low_balance=user.low_balance,
            limits=user.limits,
            email_verified=user.email_verified_at is not None,
        )


def refuse_taken(users: UserReader, account: NewAccount) -> None:
    """Raise `UsernameTaken` or `EmailTaken` if another user has one of the names."""
    refuse_taken_username(users, account.username)
    refuse_taken_email(users, account.email)


def new_user(account: NewAccount, password_hash: str, role: UserRole, *, at: datetime, new_id: NewId) -> User:
    """Return a user with ids of its own and its wallet."""
    return User(
        id=UserId(new_id()),
        username=account.username,
        email=account.email,
        password_hash=password_hash,
        role=role,
        wallet_id=WalletId(new_id()),
        created_at=at,
    )


def open_account(tx: Transaction, user: User, welcome_credits: int, entry_id: EntryId) -> Account:
    """Keep a new user with a wallet, and grant the welcome credits. Raises `UsernameTaken` or `EmailTaken`."""
    wallet = Wallet(id=user.wallet_id, owner=Owner(USER, user.id))
    tx.wallets.add(wallet)
    tx.users.add(user)
    if welcome_credits:
        cause = Cause(description=Description.of("welcome_credits"))
        posting = wallet.grant(welcome_credits, entry_id=entry_id, at=user.created_at, cause=cause)
        keep_posting(tx, posting)
        wallet = posting.wallet
    return Account.of(user, wallet)
