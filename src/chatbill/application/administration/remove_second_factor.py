"""Remove the second factor of a user who has lost the app and the recovery codes."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.user_actions import locked_user, log_action, refuse_own_account
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSecondFactorOfUser:
    """Let a user sign in with the password alone. Sessions go on.

    Raises `Forbidden`, also for one's own account; `Conflict` for an erased account; `InvalidRequest` and `NotFound`.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, user_id: UserId, order: AdminAction) -> User:
        """Remove it, and return the user."""
        require_permission(principal, Permission.MANAGE_PEOPLE)
        reason = order.checked_reason()
        refuse_own_account(principal, user_id)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)

        def work(tx: Transaction) -> User:
            user = locked_user(tx, principal, user_id)
            if tx.second_factors.get(user.id) is None:
                raise NotFound("second_factor")
            tx.second_factors.remove(user.id)
            act.record(tx, AuditAction.SECOND_FACTOR_REMOVED, (USER, user.id), reason=reason)
            return user

        user = await self.store.write(work)
        log_action("a second factor was removed", principal, user, reason=reason)
        return user
