"""Sign out a user: end all sessions of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.administration.admin_action import AdminAction, require_admin
from chatbill.application.administration.user_actions import locked_user, log_action
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutUser:
    """End all sessions of an account. API keys are not sessions and stay.

    Raises `Forbidden`, `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, login: str, order: AdminAction) -> int:
        """End the sessions, and return how many were live."""
        require_admin(principal)
        reason, now = order.checked_reason(), self.clock()

        def work(tx: Transaction) -> tuple[User, int]:
            user = locked_user(tx, login)
            return user, end_sessions(tx, user.id, SessionEnd.SIGNED_OUT_BY_ADMIN, at=now)

        user, ended = await self.store.write(work)
        log_action("an account was signed out", principal, user, reason)
        return ended
