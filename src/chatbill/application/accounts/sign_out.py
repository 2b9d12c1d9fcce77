"""Sign out: end a session, so that its access and refresh tokens are no longer accepted."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import SESSION, act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.shared.audit_trail import AuditAction


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    """End the session the principal came with; harmless when it has ended already."""

    store: Store
    clock: Clock
    new_id: NewId
    because: SessionEnd = SessionEnd.SIGNED_OUT

    async def __call__(self, principal: Principal) -> None:
        """End the session."""
        require_sign_in(principal)
        now, session_id = self.clock(), principal.session_id
        if session_id is None:
            return
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            session = tx.sessions.lock(session_id)
            if session and session.ended_at is None:
                session.end(self.because, at=now)
                tx.sessions.save(session)
                because = {"because": self.because.value}
                act.record(tx, AuditAction.SIGNED_OUT, (SESSION, session.id), after=because)

        await self.store.write(work)
