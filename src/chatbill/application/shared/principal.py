"""The principal: the account for which a request acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.preferences import NO_LIMITS, SpendingLimits
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.shared.errors import Forbidden
from chatbill.domain.shared.ids import ApiKeyId, SessionId, UserId, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person whose credentials were checked for this request.

    `session_id` and `signed_in_at` are None where no sign-in was needed.
    `api_key_id` is the API key that a program came with on their behalf, and `scopes` are the rights of that key.
    `limits` are what the person has set on their own spending.
    """

    user_id: UserId
    username: str
    email: str
    role: UserRole
    wallet_id: WalletId
    session_id: SessionId | None = None
    signed_in_at: datetime | None = None
    api_key_id: ApiKeyId | None = None
    scopes: frozenset[Scope] = frozenset()
    limits: SpendingLimits = NO_LIMITS

    @classmethod
    def of(cls, user: User, session: Session | None = None) -> Principal:
        """Return the principal of this user, who signed in with this session."""
        return cls(
            user_id=user.id,
            username=user.username,
            email=user.email,
            role=user.role,
            wallet_id=user.wallet_id,
            session_id=session.id if session else None,
            signed_in_at=session.created_at if session else None,
            limits=user.limits,
        )


def require_sign_in(principal: Principal) -> None:
    """Raise `Forbidden` for an API key: keys spend credits, and neither buy them nor change the account."""
    if principal.api_key_id is not None:
        raise Forbidden("api_key_not_allowed")


def require_permission(principal: Principal, permission: Permission) -> None:
    """Raise `Forbidden` unless the role of this person has the permission. API keys have none."""
    if permission not in permissions_of(principal.role):
        raise Forbidden("permission_missing", permission=permission.value)
