"""Register: open an account and its wallet, with the welcome credits in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.accounts.users import NewAccount, User, UserRole, checked_account, name_key
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import EmailTaken, Forbidden, UsernameTaken
from chatbill.domain.shared.ids import EntryId, UserId, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A request for an account. `address` is where the request came from, for the rate limit."""

    username: str
    email: str
    password: str = field(repr=False)
    role: UserRole = UserRole.USER
    address: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account and the credits in its wallet."""

    user_id: UserId
    username: str
    email: str
    role: UserRole
    balance: int
    created_at: datetime

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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Open an account.

    Raises `InvalidRequest` with every field at fault, `UsernameTaken`, `EmailTaken`, `RateLimited`, and
    `Forbidden` when registration is closed (an administrator can still be made on the command line).
    """

    store: Store
    passwords: Passwords
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    limit: Limit
    welcome_credits: int
    is_open: bool = True

    async def __call__(self, registration: Registration) -> Account:
        """Check, hash, and keep user, wallet and welcome grant in one transaction."""
        account = checked_account(registration.username, registration.email, registration.password)
        if registration.role is UserRole.USER:
            if not self.is_open:
                raise Forbidden("registration_closed")
            await self.rate_limits.hit(self.limit, registration.address)
        await self._refuse_taken(account)
        user = User(
            id=UserId(self.new_id()),
            username=account.username,
            email=account.email,
            password_hash=await self.passwords.hash(account.password),
            role=registration.role,
            wallet_id=WalletId(self.new_id()),
            created_at=self.clock(),
        )
        entry_id = EntryId(self.new_id())

        def work(tx: Transaction) -> Account:
            wallet = Wallet(id=user.wallet_id, owner=Owner(USER, user.id))
            tx.wallets.add(wallet)
            tx.users.add(user)
            if self.welcome_credits:
                cause = Cause(description=Description.of("welcome_credits"))
                posting = wallet.grant(self.welcome_credits, entry_id=entry_id, at=user.created_at, cause=cause)
                keep_posting(tx, posting)
                wallet = posting.wallet
            return Account.of(user, wallet)

        return await self.store.write(work)

    async def _refuse_taken(self, account: NewAccount) -> None:
        """Save the hashing for names that are taken; the transaction decides."""

        def taken(snapshot: Snapshot) -> tuple[bool, bool]:
            by_name = snapshot.users.by_login(name_key(account.username))
            by_email = snapshot.users.by_login(name_key(account.email))
            return by_name is not None, by_email is not None

        name_taken, email_taken = await self.store.read(taken)
        if name_taken:
            raise UsernameTaken
        if email_taken:
            raise EmailTaken
