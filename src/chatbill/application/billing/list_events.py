"""List billing events: what happened to wallets since a position, for an embedding application and for jobs."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.domain.billing.events import RecordedEvent

MAX_EVENTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEvents:
    """Lists the events of all wallets, in the same order for all readers. It checks no permission.

    The order is that in which transactions began to write, so events of one wallet may be in another order than its
    entries.
    """

    store: Store

    async def __call__(self, after: str | None = None, *, limit: int = MAX_EVENTS) -> list[RecordedEvent]:
        """Return at most `limit` (at most 1,000) events past the position `after`, from the first where it is None."""
        most = min(max(limit, 1), MAX_EVENTS)
        return await self.store.read(lambda snapshot: snapshot.outbox.after(after, most))
