"""Forget events: delete what the outbox has kept for long enough, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store

BATCH = 1_000
MAX_BATCHES = 100
KEPT_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetEvents:
    """Delete events that are older than `kept_days`. A reader that comes later than that starts from what is left."""

    store: Store
    clock: Clock
    kept_days: int = KEPT_DAYS

    async def __call__(self) -> int:
        """Delete at most `MAX_BATCHES` times `BATCH` events; return how many."""
        before, forgotten = self.clock() - timedelta(days=self.kept_days), 0
        for _ in range(MAX_BATCHES):
            batch = await self.store.write(lambda tx: tx.outbox.forget(before=before, limit=BATCH))
            forgotten += batch
            if batch < BATCH:
                break
        return forgotten
