"""The tokens port: signed tokens that identify a user, and secrets that cannot be guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chatbill.domain.shared.ids import SessionId, UserId


class TokenUse(StrEnum):
    """The place where an access token is accepted, and nowhere else."""

    API = "api"
    """The header `Authorization` of a request to the API."""
    PAGE = "page"
    """The cookie of the web page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The content of an access token: its user, its session, and where it is accepted.

    Rights are read from the store, never from a token.
    """

    user_id: UserId
    session_id: SessionId
    expires_at: datetime
    use: TokenUse = TokenUse.API


class Tokens(Protocol):
    """Sign and read access tokens; make and digest opaque secrets."""

    def sign(self, claims: Claims, *, now: datetime) -> str:
        """Return an access token with these claims, valid from `now` until `claims.expires_at`."""
        ...

    def read(self, token: str, *, now: datetime) -> Claims:
        """Return the claims of the token. Raises `TokenExpired`, or `Unauthenticated` if it is forged or malformed."""
        ...

    def new_secret(self) -> str:
        """Return an opaque secret of at least 256 random bits, safe in a URL."""
        ...

    def digest(self, secret: str) -> str:
        """Return the one-way digest of a secret that the store keeps; equal secrets have equal digests."""
        ...

    def pseudonym(self, name: str) -> str:
        """Return a short code for the log, the same for the same name. A person without the key cannot test guesses."""
        ...
