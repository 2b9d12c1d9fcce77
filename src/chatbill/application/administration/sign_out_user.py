"""Sign out a user: end all sessions of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.user_actions import locked_user, log_action
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutUser:
    """End all sessions of an account. API keys are not sessions and stay.

    Raises `Forbidden`, `Conflict` for an erased account, `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, user_id: UserId, order: AdminAction) -> int:
        """End the sessions, and return how many were live."""
        require_permission(principal, Permission.MANAGE_PEOPLE)
        reason, now = order.checked_reason(), self.clock()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> tuple[User, int]:
            user = locked_user(tx, principal, user_id)
            ended = end_sessions(tx, user.id, SessionEnd.SIGNED_OUT_BY_ADMIN, at=now)
            act.record(tx, AuditAction.USER_SIGNED_OUT, (USER, user.id), after={"sessions_ended": ended}, reason=reason)
            return user, ended

        user, ended = await self.store.write(work)
        log_action("an account was signed out", principal, user, reason)
        return ended
