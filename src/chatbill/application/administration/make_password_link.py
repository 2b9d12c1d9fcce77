"""Make a link with which a user sets a new password once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbill.application.administration.admin_action import AdminAction, require_admin
from chatbill.application.administration.user_actions import locked_user, log_action
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.passwords import LINK_S, LinkParts, PasswordLink
from chatbill.domain.accounts.users import User


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """The token of a new link, which is not stored and cannot be shown again, and when it expires."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MakePasswordLink:
    """Make a link that is good once and for a day. A new link replaces the one before; the password stays until then.

    Raises `Forbidden`, `InvalidRequest` and `NotFound`.
    """

    store: Store
    tokens: Tokens
    clock: Clock

    async def __call__(self, principal: Principal, login: str, order: AdminAction) -> IssuedLink:
        """Store the digest of a new secret with the user."""
        require_admin(principal)
        reason = order.checked_reason()
        secret, expires_at = self.tokens.new_secret(), self.clock() + timedelta(seconds=LINK_S)

        def work(tx: Transaction) -> User:
            user = locked_user(tx, login)
            user.password_link = PasswordLink(self.tokens.digest(secret), expires_at)
            tx.users.save(user)
            return user

        user = await self.store.write(work)
        log_action("a password link was made", principal, user, reason)
        return IssuedLink(LinkParts(user.id, secret).text(), expires_at)
