"""Sessions and the refresh tokens that continue them."""

from __future__ import annotations

from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.accounts.sessions import RefreshToken, Session
from chatbill.domain.shared.ids import SessionId, UserId


class MemorySessions:
    """Sessions and their refresh tokens."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, session_id: SessionId) -> Session | None:
        return self._tables.sessions.get(session_id)

    lock = get

    def token(self, digest: str) -> RefreshToken | None:
        return self._tables.tokens.get(digest)

    def add(self, session: Session) -> None:
        require_row(self._tables.users.get, session.user_id, "user")
        self._tables.sessions.insert(session.id, session)

    def save(self, session: Session) -> None:
        self._tables.sessions.replace(session.id, session)

    def live_of(self, user_id: UserId) -> list[Session]:
        rows = self._tables.sessions.rows()
        return [session for session in rows if session.user_id == user_id and session.ended_at is None]

    def add_token(self, token: RefreshToken) -> None:
        require_row(self._tables.sessions.get, token.session_id, "session")
        self._tables.tokens.insert(token.digest, token)

    def save_token(self, token: RefreshToken) -> None:
        self._tables.tokens.replace(token.digest, token)

    def erase_of(self, user_id: UserId) -> int:
        live = len(self.live_of(user_id))
        self._remove([session.id for session in self._tables.sessions.rows() if session.user_id == user_id])
        return live

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        rows = self._tables.sessions.rows()
        old = [session.id for session in rows if session.expires_at < expired_before][:limit]
        self._remove(old)
        return len(old)

    def _remove(self, old: list[SessionId]) -> None:
        for session_id in old:
            self._tables.sessions.remove(session_id)
        for token in list(self._tables.tokens.rows()):
            if token.session_id in old:
                self._tables.tokens.remove(token.digest)
