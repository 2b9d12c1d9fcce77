"""Forget events: delete what the outbox has kept for long enough, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.reports.roll_up import state_of

BATCH = 1_000
MAX_BATCHES = 100
KEPT_DAYS = 30
MARGIN = timedelta(hours=1)
"""Events are read in the order of their transactions, so one that is not read yet can be of an earlier moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetEvents:
    """Delete events that are older than `kept_days` and were rolled up.

    A reader that comes later than that starts from what is left. Before the first roll-up nothing waits for it, since
    that one starts from the rows that the events are about.
    """

    store: Store
    clock: Clock
    kept_days: int = KEPT_DAYS

    async def __call__(self) -> int:
        """Delete at most `MAX_BATCHES` times `BATCH` events; return how many."""
        before, forgotten = self.clock() - timedelta(days=self.kept_days), 0
        for _ in range(MAX_BATCHES):
            batch = await self.store.write(lambda tx: _forget(tx, before))
            forgotten += batch
            if batch < BATCH:
                break
        return forgotten


def _forget(tx: Transaction, before: datetime) -> int:
    state = state_of(tx.reports)
    if state is not None and (unread := tx.outbox.after(state.position, 1)):
        before = min(before, unread[0].event.at - MARGIN)
    return tx.outbox.forget(before=before, limit=BATCH)
