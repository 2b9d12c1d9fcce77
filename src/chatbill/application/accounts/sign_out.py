"""Sign out: end a session, so that its access and refresh tokens are no longer accepted."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import SessionEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    """End the session the principal came with; harmless when it has ended already."""

    store: Store
    clock: Clock
    because: SessionEnd = SessionEnd.SIGNED_OUT

    async def __call__(self, principal: Principal) -> None:
        """End the session."""
        require_sign_in(principal)
        now, session_id = self.clock(), principal.session_id
        if session_id is None:
            return

        def work(tx: Transaction) -> None:
            if session := tx.sessions.lock(session_id):
                session.end(self.because, at=now)
                tx.sessions.save(session)

        await self.store.write(work)
