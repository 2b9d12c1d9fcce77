"""Keep billing events in memory, in the order in which they were added."""

from __future__ import annotations

from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.billing.events import BillingEvent, EventKind, RecordedEvent
from chatbill.domain.shared.errors import InvalidRequest

MAX_DIGITS = 18
BY_HAND = frozenset({EventKind.REFUNDED, EventKind.ADJUSTED})


class MemoryOutbox:
    """Numbers events from 1. A number is not used again, even after its event was deleted."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._last = 0

    def add(self, event: BillingEvent) -> None:
        require_row(self._tables.wallets.get, event.wallet_id, "wallet")
        self._last += 1
        self._tables.events.put(self._last, event)

    def after(self, position: str | None, limit: int) -> list[RecordedEvent]:
        if position is not None and not (position.isascii() and position.isdigit() and len(position) <= MAX_DIGITS):
            raise InvalidRequest.of("after", "unknown_position")
        seen = int(position or 0)
        events = [(number, event) for number, event in self._tables.events.items() if number > seen]
        return [RecordedEvent(str(number), event) for number, event in sorted(events, key=lambda each: each[0])[:limit]]

    def by_hand(self, *, since: datetime, at_least: int, limit: int) -> list[BillingEvent]:
        found = [
            event
            for event in self._tables.events.rows()
            if event.kind in BY_HAND and event.at >= since and abs(event.amount) >= at_least
        ]
        return sorted(found, key=lambda event: event.at, reverse=True)[:limit]

    def forget(self, *, before: datetime, limit: int) -> int:
        old = [number for number, event in self._tables.events.items() if event.at < before][:limit]
        for number in old:
            self._tables.events.remove(number)
        return len(old)
