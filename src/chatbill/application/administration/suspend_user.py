"""Suspend a user: end the sessions, refuse the API keys, and stop the running replies of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.end_sessions import end_sessions
from chatbill.application.administration.admin_action import AdminAction, require_admin
from chatbill.application.administration.user_actions import locked_user, log_action, refuse_own_account
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.accounts.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendUser:
    """Suspend an account until `ActivateUser`. Its credits and conversations stay.

    Running replies are stopped by the processes that write them, within a second, and charged as stopped ones. A
    suspended account stays as it is. Raises `Forbidden`, also for one's own account, `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, login: str, order: AdminAction) -> User:
        """Suspend the account in one transaction, and return it."""
        require_admin(principal)
        reason, now = order.checked_reason(), self.clock()

        def work(tx: Transaction) -> User:
            user = locked_user(tx, login)
            refuse_own_account(principal, user)
            if user.is_enabled:
                user.disabled_at = now
                tx.users.save(user)
            end_sessions(tx, user.id, SessionEnd.SUSPENDED, at=now)
            tx.interactions.ask_all_to_stop(user.id, at=now)
            return user

        user = await self.store.write(work)
        log_action("an account was suspended", principal, user, reason)
        return user
