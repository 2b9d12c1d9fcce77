"""Register: open an account and its wallet, with the welcome credits in it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final

from chatbill.application.accounts.letters import QueueLetter, queue
from chatbill.application.accounts.open_account import Account, new_user, open_account, refuse_taken
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.mail import LetterKind
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.domain.accounts.preferences import DEFAULT_ZONE, locale_fault, zone_named
from chatbill.domain.accounts.users import UserRole, checked_account
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Forbidden
from chatbill.domain.shared.ids import EntryId

IPV6_SITE_BITS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A request for an account. `address` is where the request came from, for the rate limit.

    `locale` and `time_zone` are those of the person's browser. Unknown ones are ignored.
    """

    username: str
    email: str
    password: str = field(repr=False)
    role: UserRole = UserRole.USER
    address: str = "local"
    locale: str | None = None
    time_zone: str = DEFAULT_ZONE


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
    queue_letter: QueueLetter
    welcome_after_verification: bool = False
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
        await self.store.read(lambda snapshot: refuse_taken(snapshot.users, account))
        async with self.gate.turn(registration.address):
            password_hash = await self.passwords.hash(registration.password)
        user = new_user(account, password_hash, registration.role, at=self.clock(), new_id=self.new_id)
        if registration.locale and not locale_fault(registration.locale):
            user.locale = registration.locale
        if zone_named(registration.time_zone):
            user.time_zone = registration.time_zone
        user.welcome_due = self.welcome_after_verification and not staff
        entry_id, letter = EntryId(self.new_id()), self.queue_letter.job(LetterKind.VERIFICATION, user.id)
        # The first accounts of the staff are made on the command line, by a person without one.
        act = act_of(None if staff else user.id, at=user.created_at, new_id=self.new_id)
        action = AuditAction.USER_CREATED if staff else AuditAction.REGISTERED

        def work(tx: Transaction) -> Account:
            refuse_taken(tx.users, account)
            opened = open_account(tx, user, 0 if user.welcome_due else self.welcome_credits, entry_id)
            queue(tx, letter)
            act.record(tx, action, (USER, user.id), after={"role": user.role.value, "credits": opened.balance})
            return opened

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
