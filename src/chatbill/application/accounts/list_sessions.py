"""List the live sessions of an account."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessions:
    """List the sessions in which the principal is signed in, the last used first. Raises `Forbidden` for an API key."""

    store: Store
    clock: Clock
    idle_s: float

    async def __call__(self, principal: Principal) -> list[Session]:
        """Read the sessions; an account has few."""
        require_sign_in(principal)
        now = self.clock()
        sessions = await self.store.read(lambda snapshot: snapshot.sessions.live_of(principal.user_id))
        live = (session for session in sessions if session.is_live(now, idle_s=self.idle_s))
        return sorted(live, key=lambda session: (session.used_at, session.id), reverse=True)
