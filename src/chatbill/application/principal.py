"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.domain.ids import SessionId, UserId, WalletId
from chatbill.domain.users import User, UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person whose credentials were checked for this request. `session_id` is None where no sign-in was needed."""

    user_id: UserId
    username: str
    email: str
    role: UserRole
    wallet_id: WalletId
    session_id: SessionId | None = None

    @classmethod
    def of(cls, user: User, session_id: SessionId | None = None) -> Principal:
        """The principal that stands for this user."""
        return cls(
            user_id=user.id,
            username=user.username,
            email=user.email,
            role=user.role,
            wallet_id=user.wallet_id,
            session_id=session_id,
        )
