"""The repository of sessions and their refresh tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.domain.accounts.sessions import RefreshToken, Session
from chatbill.domain.shared.ids import (
    SessionId,
    UserId,
)


class SessionReader(Protocol):
    def get(self, session_id: SessionId) -> Session | None: ...
    def token(self, digest: str) -> RefreshToken | None: ...

    def live_of(self, user_id: UserId) -> list[Session]:
        """Return the sessions of this user that have not been ended."""
        ...


class SessionRepository(SessionReader, Protocol):
    def lock(self, session_id: SessionId) -> Session | None:
        """Return the same as `get`, and prevent changes of it and its tokens by others until this transaction ends."""
        ...

    def add(self, session: Session) -> None: ...
    def save(self, session: Session) -> None: ...
    def add_token(self, token: RefreshToken) -> None: ...
    def save_token(self, token: RefreshToken) -> None: ...

    def erase_of(self, user_id: UserId) -> int:
        """Delete all sessions of a user, with their tokens; return how many had not been ended."""
        ...

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        """Delete at most `limit` sessions that expired before this moment, with their tokens; return how many."""
        ...
