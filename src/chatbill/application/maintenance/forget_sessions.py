"""Forget sessions: delete those that expired a day ago."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store

BATCH = 500
KEEP_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSessions:
    """Delete expired sessions and their refresh tokens, so that neither table grows without bound."""

    store: Store
    clock: Clock

    async def __call__(self) -> int:
        """Delete in batches; return how many sessions were deleted."""
        before = self.clock() - timedelta(seconds=KEEP_S)
        forgotten = 0
        while True:
            batch = await self.store.write(lambda tx: tx.sessions.forget(expired_before=before, limit=BATCH))
            forgotten += batch
            if batch < BATCH:
                return forgotten
