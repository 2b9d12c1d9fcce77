"""Sessions and their refresh tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Delete, bindparam, select

from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, limit, locking, update
from chatbill.adapters.persistence.sql.tables import refresh_tokens, sessions
from chatbill.domain.accounts.sessions import RefreshToken, Session, SessionEnd
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import SessionId, UserId

_BY_ID = all_of(sessions, equals(sessions.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_LIVE = Statement(all_of(sessions, equals(sessions.c.user_id), sessions.c.ended_at.is_(None)).order_by(sessions.c.id))
_ADD = insert(sessions)
_SAVE = update(sessions, "expires_at", "ended_at", "ended_because", where=(equals(sessions.c.id),))
_EXPIRED = (
    select(sessions.c.id)
    .where(sessions.c.expires_at < bindparam("expired_before"))
    .order_by(sessions.c.expires_at)
    .limit(limit())
    # Several processes forget at the same time: each takes what no other has.
    .with_for_update(skip_locked=True)
)
_FORGET = Statement(Delete(sessions).where(sessions.c.id.in_(_EXPIRED)))
_TOKEN = Statement(all_of(refresh_tokens, equals(refresh_tokens.c.digest)))
_ADD_TOKEN = insert(refresh_tokens)
_SAVE_TOKEN = update(refresh_tokens, "spent_at", where=(equals(refresh_tokens.c.digest),))


class SqlSessions:
    """Sessions; their tokens go with them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, session_id: SessionId) -> Session | None:
        return _session(self._connection.one(_GET, id=session_id))

    def lock(self, session_id: SessionId) -> Session | None:
        return _session(self._connection.one(_LOCK, id=session_id))

    def token(self, digest: str) -> RefreshToken | None:
        row = self._connection.one(_TOKEN, digest=digest)
        if row is None:
            return None
        digest, session_id, issued_at, spent_at = row
        return RefreshToken(digest=digest, session_id=session_id, issued_at=issued_at, spent_at=spent_at)

    def add(self, session: Session) -> None:
        self._connection.put(
            _ADD,
            id=session.id,
            user_id=session.user_id,
            created_at=session.created_at,
            expires_at=session.expires_at,
            ended_at=session.ended_at,
            ended_because=session.ended_because and session.ended_because.value,
        )

    def save(self, session: Session) -> None:
        self._connection.put(
            _SAVE,
            id=session.id,
            expires_at=session.expires_at,
            ended_at=session.ended_at,
            ended_because=session.ended_because and session.ended_because.value,
            or_else=InvariantViolation(f"session {session.id} does not exist"),
        )

    def live_of(self, user_id: UserId) -> list[Session]:
        rows = self._connection.stream(_LIVE, user_id=user_id)
        return [session for session in map(_session, rows) if session]

    def add_token(self, token: RefreshToken) -> None:
        self._connection.put(
            _ADD_TOKEN,
            digest=token.digest,
            session_id=token.session_id,
            issued_at=token.issued_at,
            spent_at=token.spent_at,
        )

    def save_token(self, token: RefreshToken) -> None:
        self._connection.put(
            _SAVE_TOKEN,
            digest=token.digest,
            spent_at=token.spent_at,
            or_else=InvariantViolation(f"the refresh token of session {token.session_id} does not exist"),
        )

    def forget(self, *, expired_before: datetime, limit: int) -> int:
        return self._connection.run(_FORGET, expired_before=expired_before, limit=limit)


def _session(row: Row | None) -> Session | None:
    if row is None:
        return None
    id_, user_id, created_at, expires_at, ended_at, ended_because = row
    return Session(
        id=id_,
        user_id=user_id,
        created_at=created_at,
        expires_at=expires_at,
        ended_at=ended_at,
        ended_because=SessionEnd(ended_because) if ended_because else None,
    )
