"""Forget jobs: delete those that were done long ago. Failed ones stay until they are retried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store

BATCH = 500
KEPT_DAYS = 7
"""Also for so long, no clock that is set back makes a periodic job run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetJobs:
    """Delete jobs that were done `KEPT_DAYS` days ago, so that the table does not grow without bound."""

    store: Store
    clock: Clock

    async def __call__(self) -> int:
        """Delete in batches; return how many jobs were deleted."""
        before, forgotten = self.clock() - timedelta(days=KEPT_DAYS), 0
        while True:
            batch = await self.store.write(lambda tx: tx.jobs.forget(finished_before=before, limit=BATCH))
            forgotten += batch
            if batch < BATCH:
                return forgotten
