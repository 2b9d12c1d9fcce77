"""Sessions: one sign-in each, prolonged by refresh tokens that can be used once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chatbill.domain.shared.ids import SessionId, UserId

MAX_SESSIONS = 100
"""The most sessions of one account; a new one ends the one that was used least recently."""
MAX_ADDRESS_CHARS = 64
MAX_CLIENT_CHARS = 200
SEEN_EVERY_S = 60.0
"""The precision of `last_seen_at`: to note every request would cost a write for every request."""


class SessionEnd(StrEnum):
    """The reason why a session ended before it expired."""

    SIGNED_OUT = "signed_out"
    ENDED_BY_OWNER = "ended_by_owner"
    REPLACED = "replaced"
    TOO_MANY = "too_many"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a secret
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a reason, not a secret
    SUSPENDED = "suspended"
    SIGNED_OUT_BY_ADMIN = "signed_out_by_admin"


@dataclass(slots=True, kw_only=True)
class Session:
    """One sign-in, with all refresh tokens that were issued for it.

    `address` and `client` are where the sign-in came from and how the program calls itself. `last_seen_at` is exact to
    a minute. All three are None in sessions from before they were recorded.
    """

    id: SessionId
    user_id: UserId
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime | None = None
    address: str | None = None
    client: str | None = None
    ended_at: datetime | None = None
    ended_because: SessionEnd | None = None

    @property
    def used_at(self) -> datetime:
        """Return when the session was last seen, or when it began."""
        return self.last_seen_at or self.created_at

    def is_live(self, now: datetime, *, idle_s: float = math.inf) -> bool:
        """Return True while tokens of this session are accepted: until it is ended, expires, or is idle for so long."""
        return self.ended_at is None and now < self.expires_at and not self.is_unseen(now, idle_s)

    def is_unseen(self, now: datetime, for_s: float) -> bool:
        """Return True where the session was last seen so many seconds ago or earlier."""
        return self.last_seen_at is not None and (now - self.last_seen_at).total_seconds() >= for_s

    def is_worth_noting(self, now: datetime, *, idle_s: float) -> bool:
        """Return True where the last use was noted some time ago, or none was noted."""
        return self.last_seen_at is None or self.is_unseen(now, min(SEEN_EVERY_S, idle_s / 4))

    def note_use(self, *, at: datetime) -> None:
        """Record that the session was used."""
        self.last_seen_at = at if self.last_seen_at is None else max(at, self.last_seen_at)

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


def printable(text: str, max_chars: int) -> str:
    """Return the printable characters of text that a client sent, at most so many."""
    return "".join(character for character in text[: 4 * max_chars] if character.isprintable())[:max_chars]
