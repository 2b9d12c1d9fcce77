"""The outbox: events that are written in the transaction that they report, for jobs that run after it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.domain.billing.events import BillingEvent, RecordedEvent


class OutboxReader(Protocol):
    def after(self, position: str | None, limit: int) -> list[RecordedEvent]:
        """Return the events past a position, from the first one where it is None, in one order for all readers.

        An event of a transaction that is still running is not seen, and no event comes before one that was seen.
        Raises `InvalidRequest` for a position that no event can have.
        """
        ...

    def by_hand(self, *, since: datetime, at_least: int, limit: int) -> list[BillingEvent]:
        """Return refunds and adjustments of at least so many credits from this moment on, newest first."""
        ...


class Outbox(OutboxReader, Protocol):
    def add(self, event: BillingEvent) -> None: ...

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete at most `limit` events that happened before this moment; return how many."""
        ...
