"""Activate a user: end the suspension of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction, require_admin
from chatbill.application.administration.user_actions import locked_user, log_action
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateUser:
    """Let a suspended account sign in again. Its API keys work again; its old sessions do not.

    Raises `Forbidden`, `InvalidRequest` and `NotFound`.
    """

    store: Store

    async def __call__(self, principal: Principal, login: str, order: AdminAction) -> User:
        """Activate the account, and return it."""
        require_admin(principal)
        reason = order.checked_reason()

        def work(tx: Transaction) -> User:
            user = locked_user(tx, login)
            if not user.is_enabled:
                user.disabled_at = None
                tx.users.save(user)
            return user

        user = await self.store.write(work)
        log_action("an account was activated", principal, user, reason)
        return user
