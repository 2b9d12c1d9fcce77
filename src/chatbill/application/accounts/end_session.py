"""End one session of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """End a session of the principal, so that its tokens are not accepted; an ended session stays as it is.

    Raises `NotFound` for a session that does not exist or is another account's, and `Forbidden` for an API key.
    """

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, session_id: SessionId) -> None:
        """End the session."""
        require_sign_in(principal)
        now = self.clock()

        def work(tx: Transaction) -> None:
            session = tx.sessions.lock(session_id)
            if session is None or session.user_id != principal.user_id:
                raise NotFound("session")
            session.end(SessionEnd.ENDED_BY_OWNER, at=now)
            tx.sessions.save(session)

        await self.store.write(work)
