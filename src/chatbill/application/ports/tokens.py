"""The tokens port: signed tokens that identify a user, and secrets that cannot be guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.domain.shared.ids import SessionId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What an access token says: its user and session. Rights are read from the store, never from a token."""

    user_id: UserId
    session_id: SessionId
    expires_at: datetime


class Tokens(Protocol):
    """Sign and read access tokens; make and digest opaque secrets."""

    def sign(self, claims: Claims, *, now: datetime) -> str:
        """An access token with these claims, good from `now` until `claims.expires_at`."""
        ...

    def read(self, token: str, *, now: datetime) -> Claims:
        """What the token says. Raises `TokenExpired`, or `Unauthenticated` for anything forged or malformed."""
        ...

    def new_secret(self) -> str:
        """An opaque secret of at least 256 random bits, safe in a URL."""
        ...

    def digest(self, secret: str) -> str:
        """What the store keeps of a secret: a one-way digest, the same for the same secret."""
        ...

    def pseudonym(self, name: str) -> str:
        """A short code for the log, the same for the same name. A person without the key cannot test guesses."""
        ...
