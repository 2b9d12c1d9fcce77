"""Authenticate: find the account of an access token."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.application.ports.tokens import Tokens, TokenUse
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.sessions import Session
from chatbill.domain.shared.errors import Unauthenticated
from chatbill.domain.shared.ids import SessionId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Turn an access token into a principal, by what the store says now.

    A session that was not used for `idle_s` seconds has ended. Raises `TokenExpired`, or `Unauthenticated` for anything
    forged or made for another use, for an ended session and a disabled account.
    """

    store: Store
    tokens: Tokens
    clock: Clock
    idle_s: float
    use: TokenUse = TokenUse.API
    notes_use: bool = True
    """False where a look at the session is no use of it, as for a page that is open and idle."""

    async def __call__(self, access_token: str) -> Principal:
        """Check the token, then the session and the account behind it."""
        now = self.clock()
        claims = self.tokens.read(access_token, now=now)
        if claims.use is not self.use:
            raise Unauthenticated

        def query(snapshot: Snapshot) -> tuple[Session, Principal] | None:
            session = snapshot.sessions.get(claims.session_id)
            if session is None or not session.is_live(now, idle_s=self.idle_s) or session.user_id != claims.user_id:
                return None
            user = snapshot.users.get(claims.user_id)
            return (session, Principal.of(user, session)) if user and user.is_enabled else None

        found = await self.store.read(query)
        if found is None:
            raise Unauthenticated("session_ended")
        session, principal = found
        if self.notes_use and session.is_worth_noting(now, idle_s=self.idle_s):
            await self._note_use(session.id)
        return principal

    async def _note_use(self, session_id: SessionId) -> None:
        now = self.clock()

        def work(tx: Transaction) -> None:
            session = tx.sessions.lock(session_id)
            if session and session.is_worth_noting(now, idle_s=self.idle_s):
                session.note_use(at=now)
                tx.sessions.save(session)

        try:
            await self.store.write(work)
        except StoreUnavailable:
            # The request is worth more than a note of when the session was used.
            _log.warning("session_use_not_noted", exc_info=True)
