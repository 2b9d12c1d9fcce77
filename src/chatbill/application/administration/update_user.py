"""Update a user: give another role, suspend an account, or activate it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.user_actions import (
    locked_user,
    locked_user_to_weaken,
    log_action,
    refuse_own_account,
    require_rank,
)
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import AccountState, User, UserRole
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.domain.shared.ids import UserId

_STATES = {
    AccountState.ACTIVE: (AuditAction.USER_ACTIVATED, "an account was activated"),
    AccountState.SUSPENDED: (AuditAction.USER_SUSPENDED, "an account was suspended"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """The new role and the new state of a user, `ACTIVE` or `SUSPENDED`; None leaves a value unchanged."""

    role: UserRole | None = None
    state: AccountState | None = None

    @property
    def weakens(self) -> bool:
        """Return True where the change may take rights from an administrator."""
        return self.state is AccountState.SUSPENDED or self.role not in {None, UserRole.ADMIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateUser:
    """Change the role and the state of an account of another person, in one transaction.

    Suspending ends the sessions, refuses the API keys, and stops the running replies, which the processes that write
    them do within a second; they are charged as stopped ones. Credits and conversations stay. After an activation the
    API keys work again, and the old sessions do not. A role counts from the next request on.

    Raises `Forbidden`, also for one's own account and for an account or a role with more permissions; `Conflict` for
    the last enabled administrator and for an erased account; `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, user_id: UserId, change: UserChange, order: AdminAction) -> User:
        """Make the change, and return the user."""
        require_permission(principal, Permission.MANAGE_PEOPLE if change.role is None else Permission.MANAGE_ROLES)
        if change.role is not None:
            require_rank(principal, change.role)
        if change.state is not None:
            require_permission(principal, Permission.MANAGE_PEOPLE)
            if change.state not in _STATES:
                raise InvalidRequest.of("state", "not_one_of", known=", ".join(_STATES))
        reason, now = order.checked_reason(), self.clock()
        refuse_own_account(principal, user_id)
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> tuple[User, list[str]]:
            user = (locked_user_to_weaken if change.weakens else locked_user)(tx, principal, user_id)
            before, done = (user.role, user.state), []
            user.role = change.role or user.role
            if change.state is not None:
                _set_state(tx, user, change.state, at=now)
            if user.role is not before[0]:
                roles = {"role": before[0].value}, {"role": user.role.value}
                act.record(
                    tx, AuditAction.ROLE_CHANGED, (USER, user.id), before=roles[0], after=roles[1], reason=reason
                )
                done.append("a role was given")
            if user.state is not before[1]:
                action, event = _STATES[user.state]
                states = {"state": before[1].value}, {"state": user.state.value}
                act.record(tx, action, (USER, user.id), before=states[0], after=states[1], reason=reason)
                done.append(event)
            if done:
                tx.users.save(user)
            return user, done

        user, done = await self.store.write(work)
        for event in done:
            log_action(event, principal, user, reason)
        return user


def _set_state(tx: Transaction, user: User, state: AccountState, *, at: datetime) -> None:
    if state is AccountState.ACTIVE:
        user.disabled_at = None
        return
    user.disabled_at = user.disabled_at or at
    end_sessions(tx, user.id, SessionEnd.SUSPENDED, at=at)
    stop_replies(tx, user, at=at)


def stop_replies(tx: Transaction, user: User, *, at: datetime) -> None:
    """Ask for the end of all running replies of a user. A message that is being accepted is seen or is refused."""
    # Acceptance holds this lock while it looks whether the account is enabled.
    tx.wallets.lock(user.wallet_id)
    tx.interactions.ask_all_to_stop(user.id, at=at)
