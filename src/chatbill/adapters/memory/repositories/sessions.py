"""Sessions and the refresh tokens that continue them."""

from __future__ import annotations

from datetime import datetime

from chatbill.adapters.memory.repositories.rows import insert, replace
from chatbill.adapters.memory.tables import Table
from chatbill.domain.accounts.sessions import RefreshToken, Session
from chatbill.domain.shared.ids import (
    SessionId,
    UserId,
)


class MemorySessions:
    """Sessions and their refresh tokens."""

    def __init__(self) -> None:
        self.table: Table[str, Session] = Table()
        self.tokens: Table[str, RefreshToken] = Table()

    def get(self, session_id: SessionId) -> Session | None:
        return self.table.get(session_id)

    lock = get

    def token(self, digest: str) -> RefreshToken | None:
        return self.tokens.get(digest)

    def add(self, session: Session) -> None:
        insert(self.table, session.id, session)

    def save(self, session: Session) -> None:
        replace(self.table, session.id, session)

    def live_of(self, user_id: UserId) -> list[Session]:
        return [session for session in self.table.rows() if session.user_id == user_id and session.ended_at is None]

    def add_token(self, token: RefreshToken) -> None:
        insert(self.tokens, token.digest, token)

    def save_token(self, token: RefreshToken) -> None:
        replace(self.tokens, token.digest, token)

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        old = [session.id for session in self.table.rows() if session.expires_at < expired_before][:limit]
        for session_id in old:
            self.table.remove(session_id)
        for token in list(self.tokens.rows()):
            if token.session_id in old:
                self.tokens.remove(token.digest)
        return len(old)
