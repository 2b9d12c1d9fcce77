"""Sessions: one sign-in each, prolonged by refresh tokens that can be used once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.shared.ids import SessionId, UserId


class SessionEnd(StrEnum):
    """The reason why a session ended before it expired."""

    SIGNED_OUT = "signed_out"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a secret
    REFRESH_REUSED = "refresh_reused"
    SUSPENDED = "suspended"
    SIGNED_OUT_BY_ADMIN = "signed_out_by_admin"


@dataclass(slots=True, kw_only=True)
class Session:
    """One sign-in, with all refresh tokens that were issued for it."""

    id: SessionId
    user_id: UserId
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_because: SessionEnd | None = None

    def is_live(self, now: datetime) -> bool:
        """Return True while tokens of this session are accepted."""
        return self.ended_at is None and now < self.expires_at

    def end(self, because: SessionEnd, *, at: datetime) -> None:
        """End the session; the first reason stays."""
        if self.ended_at is None:
            self.ended_at = at
            self.ended_because = because


@dataclass(slots=True, kw_only=True)
class RefreshToken:
    """The stored form of a refresh token: its digest, and when it was exchanged."""

    digest: str
    session_id: SessionId
    issued_at: datetime
    spent_at: datetime | None = None

    @property
    def is_spent(self) -> bool:
        """Return True once it was exchanged; a second use means that it was stolen or copied."""
        return self.spent_at is not None
