"""End one session of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import SESSION, act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import SessionEnd
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """End a session of the principal, so that its tokens are not accepted; an ended session stays as it is.

    Raises `NotFound` for a session that does not exist or is another account's, and `Forbidden` for an API key.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, session_id: SessionId) -> None:
        """End the session."""
        require_sign_in(principal)
        now = self.clock()
        act = act_of(principal.user_id, at=now, new_id=self.new_id)

        def work(tx: Transaction) -> None:
            session = tx.sessions.lock(session_id)
            if session is None or session.user_id != principal.user_id:
                raise NotFound("session")
            if session.ended_at is None:
                session.end(SessionEnd.ENDED_BY_OWNER, at=now)
                tx.sessions.save(session)
                because = {"because": SessionEnd.ENDED_BY_OWNER.value}
                act.record(tx, AuditAction.SIGNED_OUT, (SESSION, session.id), after=because)

        await self.store.write(work)
