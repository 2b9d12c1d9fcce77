"""Ends the sessions of an account in a transaction."""

from __future__ import annotations

from datetime import datetime

from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.shared.ids import SessionId, UserId


def end_sessions(
    tx: Transaction, user_id: UserId, because: SessionEnd, *, at: datetime, spare: SessionId | None = None
) -> int:
    """End all sessions except `spare`, and return how many there were. Lock the user before."""
    ended = [session for session in tx.sessions.live_of(user_id) if session.id != spare]
    for session in ended:
        session.end(because, at=at)
        tx.sessions.save(session)
    return len(ended)
