"""Make a link with which a user sets a new password once."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.links import IssuedLink, new_link
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.user_actions import locked_user, log_action
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.audit_trail import act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import User
from chatbill.domain.billing.subjects import USER
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class MakePasswordLink:
    """Make a link that is good once and for a day. A new link replaces the one before; the password stays until then.

    Raises `Forbidden`, also for an account with more permissions, which the link would give away; `Conflict` for an
    erased account; `InvalidRequest` and `NotFound`.
    """

    store: Store
    tokens: Tokens
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, user_id: UserId, order: AdminAction) -> IssuedLink:
        """Store the digest of a new secret with the user."""
        require_permission(principal, Permission.MANAGE_PEOPLE)
        reason, now = order.checked_reason(), self.clock()
        stored, link = new_link(user_id, self.tokens, at=now)
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> User:
            user = locked_user(tx, principal, user_id)
            user.password_link = stored
            tx.users.save(user)
            after = {"expires_at": link.expires_at.isoformat()}
            act.record(tx, AuditAction.PASSWORD_LINK_MADE, (USER, user.id), after=after, reason=reason)
            return user

        user = await self.store.write(work)
        log_action("a password link was made", principal, user, reason=reason)
        return link
