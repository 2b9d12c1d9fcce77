"""Create a user: open an account for another person, with a password or with a link to set one."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatbill.application.accounts.links import IssuedLink, new_link
from chatbill.application.accounts.open_account import new_user, open_account, refuse_taken
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.administration.user_actions import log_action, require_rank
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.passwords import Passwords
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import NO_PASSWORD, User, UserRole, checked_account
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The names and the role of a new account. Without a password, a link is made with which the person sets one."""

    username: str
    email: str
    role: UserRole = UserRole.USER
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A new user, and the link with which the person sets a password, if none was given."""

    user: User
    link: IssuedLink | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """Open an account with the welcome credits, also where registration is closed.

    Raises `Forbidden`, also for a role with more permissions; `InvalidRequest` with every field at fault;
    `UsernameTaken`, `EmailTaken`, `RateLimited`, `Overloaded`.
    """

    store: Store
    passwords: Passwords
    gate: PasswordGate
    tokens: Tokens
    clock: Clock
    new_id: NewId
    welcome_credits: int

    async def __call__(self, principal: Principal, order: NewUser) -> CreatedUser:
        """Check, hash, and keep user, wallet and welcome grant in one transaction."""
        require_permission(principal, Permission.MANAGE_PEOPLE)
        if order.role.is_staff:
            require_permission(principal, Permission.MANAGE_ROLES)
            require_rank(principal, order.role)
        account = checked_account(
            order.username,
            order.email,
            order.password,
            staff=order.role.is_staff,
            is_common=self.passwords.is_common,
        )
        await self.store.read(lambda snapshot: refuse_taken(snapshot.users, account))
        now, entry_id = self.clock(), EntryId(self.new_id())
        user = new_user(account, await self._hash(principal, order.password), order.role, at=now, new_id=self.new_id)
        link = None
        if order.password is None:
            user.password_link, link = new_link(user.id, self.tokens, at=now)
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            refuse_taken(tx.users, account)
            opened = open_account(tx, user, self.welcome_credits, entry_id)
            after = {"role": user.role.value, "credits": opened.balance, "link": link is not None}
            act.record(tx, AuditAction.USER_CREATED, (USER, user.id), after=after)

        await self.store.write(work)
        log_action("an account was created", principal, user)
        return CreatedUser(user, link)

    async def _hash(self, principal: Principal, password: str | None) -> str:
        if password is None:
            return NO_PASSWORD
        async with self.gate.turn(principal.user_id):
            return await self.passwords.hash(password)
