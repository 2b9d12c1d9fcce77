"""Authenticate: find the account of an access token."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Turn an access token into a principal, by what the store says now.

    Raises `TokenExpired`, or `Unauthenticated` for anything forged, for an ended session and a disabled account.
    """

    store: Store
    tokens: Tokens
    clock: Clock

    async def __call__(self, access_token: str) -> Principal:
        """Check the token, then the session and the account behind it."""
        now = self.clock()
        claims = self.tokens.read(access_token, now=now)

        def query(snapshot: Snapshot) -> Principal | None:
            session = snapshot.sessions.get(claims.session_id)
            if session is None or not session.is_live(now) or session.user_id != claims.user_id:
                return None
            user = snapshot.users.get(claims.user_id)
            return Principal.of(user, session.id) if user and user.is_enabled else None

        if principal := await self.store.read(query):
            return principal
        raise Unauthenticated("session_ended")
