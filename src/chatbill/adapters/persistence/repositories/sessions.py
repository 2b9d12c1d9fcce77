"""Sessions and their refresh tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Delete, bindparam, select

from chatbill.adapters.persistence.mapping import Mapping
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, limit, locking, update
from chatbill.adapters.persistence.sql.tables import refresh_tokens, sessions
from chatbill.domain.accounts.sessions import RefreshToken, Session
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import SessionId, UserId

_SESSIONS, _TOKENS = Mapping(sessions, Session), Mapping(refresh_tokens, RefreshToken)
_BY_ID = all_of(sessions, equals(sessions.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_LIVE = Statement(all_of(sessions, equals(sessions.c.user_id), sessions.c.ended_at.is_(None)).order_by(sessions.c.id))
_SAVE = update(sessions, *_SESSIONS.changing, where=(equals(sessions.c.id),))
_EXPIRED = (
    select(sessions.c.id)
    .where(sessions.c.expires_at < bindparam("expired_before"))
    .order_by(sessions.c.expires_at)
    .limit(limit())
    # Several processes forget at the same time: each takes what no other has.
    .with_for_update(skip_locked=True)
)
_FORGET = Statement(Delete(sessions).where(sessions.c.id.in_(_EXPIRED)))
_ERASE = Statement(Delete(sessions).where(equals(sessions.c.user_id)))
_TOKEN = Statement(all_of(refresh_tokens, equals(refresh_tokens.c.digest)))
_SAVE_TOKEN = update(refresh_tokens, *_TOKENS.changing, where=(equals(refresh_tokens.c.digest),))


class SqlSessions:
    """Keeps sessions. Deleting one also deletes its tokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, session_id: SessionId) -> Session | None:
        return _SESSIONS.one(self._connection.one(_GET, id=session_id))

    def lock(self, session_id: SessionId) -> Session | None:
        return _SESSIONS.one(self._connection.one(_LOCK, id=session_id))

    def token(self, digest: str) -> RefreshToken | None:
        return _TOKENS.one(self._connection.one(_TOKEN, digest=digest))

    def add(self, session: Session) -> None:
        self._connection.put(_SESSIONS.add, **_SESSIONS.values(session))

    def save(self, session: Session) -> None:
        self._connection.put(
            _SAVE,
            **_SESSIONS.changes(session),
            or_else=lambda: InvariantViolation(f"session {session.id} does not exist"),
        )

    def live_of(self, user_id: UserId) -> list[Session]:
        return list(map(_SESSIONS.read, self._connection.stream(_LIVE, user_id=user_id)))

    def add_token(self, token: RefreshToken) -> None:
        self._connection.put(_TOKENS.add, **_TOKENS.values(token))

    def save_token(self, token: RefreshToken) -> None:
        self._connection.put(
            _SAVE_TOKEN,
            **_TOKENS.changes(token),
            or_else=lambda: InvariantViolation(f"the refresh token of session {token.session_id} does not exist"),
        )

    def erase_of(self, user_id: UserId) -> int:
        live = len(self.live_of(user_id))
        self._connection.put(_ERASE, user_id=user_id)
        return live

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        return self._connection.run(_FORGET, expired_before=expired_before, limit=limit)
