"""Register: open an account and its wallet, with the welcome credits in it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from chatbill.application.accounts.find_user import refuse_taken_email, refuse_taken_username
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.billing.postings import keep_posting
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.accounts.users import NewAccount, User, UserRole, checked_account
from chatbill.domain.billing.ledger import Cause
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import Forbidden
from chatbill.domain.shared.ids import EntryId, UserId, WalletId

IPV6_SITE_BITS: Final = 48


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

    Raises `InvalidRequest` with every field at fault, `UsernameTaken`, `EmailTaken`, `RateLimited`, `Overloaded`, and
    `Forbidden` when registration is closed (an administrator can still be made on the command line).
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    rate_limits: RateLimits
    clock: Clock
    new_id: NewId
    limit: Limit
    network_limit: Limit
    limit_in_all: Limit
    welcome_credits: int
    is_open: bool = True

    async def __call__(self, registration: Registration) -> Account:
        """Check, hash, and keep user, wallet and welcome grant in one transaction."""
        staff = registration.role.is_staff
        account = checked_account(
            registration.username,
            registration.email,
            registration.password,
            staff=staff,
            is_common=self.passwords.is_common,
        )
        if not staff:
            if not self.is_open:
                raise Forbidden("registration_closed")
            await self._count(registration.address)
        # Names that are taken are refused before the hashing; the transaction decides.
        await self.store.read(lambda snapshot: _refuse_taken(snapshot, account))
        async with self.gate.turn(registration.address):
            password_hash = await self.passwords.hash(account.password)
        user = User(
            id=UserId(self.new_id()),
            username=account.username,
            email=account.email,
            password_hash=password_hash,
            role=registration.role,
            wallet_id=WalletId(self.new_id()),
            created_at=self.clock(),
        )
        entry_id = EntryId(self.new_id())

        def work(tx: Transaction) -> Account:
            _refuse_taken(tx, account)
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

    async def _count(self, address: str) -> None:
        await self.rate_limits.hit(self.limit, address)
        if network := _network_of(address):
            await self.rate_limits.hit(self.network_limit, network)
        await self.rate_limits.hit(self.limit_in_all, "all")


def _network_of(address: str) -> str | None:
    """Return the IPv6 network of 48 bits, which one customer can have, around an address or a smaller network."""
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return None
    return str(network.supernet(new_prefix=IPV6_SITE_BITS)) if isinstance(network, ipaddress.IPv6Network) else None


def _refuse_taken(tables: Snapshot | Transaction, account: NewAccount) -> None:
    refuse_taken_username(tables.users, account.username)
    refuse_taken_email(tables.users, account.email)
