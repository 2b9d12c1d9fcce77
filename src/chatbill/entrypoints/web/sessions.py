"""The JSON of sessions, as the API and the page show them to their owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session. `address` and `client` are those of the sign-in, and null if they were not recorded.

    `last_seen_at` is right to a minute. `current` is true for the session that asks.
    """

    id: str
    created_at: datetime
    last_seen_at: datetime | None
    address: str | None
    client: str | None
    current: bool

    @classmethod
    def of(cls, session: Session, principal: Principal) -> SessionView:
        """Return the view of a session for a principal."""
        return cls(
            id=session.id,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            address=session.address,
            client=session.client,
            current=session.id == principal.session_id,
        )
