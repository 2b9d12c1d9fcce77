"""Expire holds: release what a crash or a stuck engine left behind, once its time is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from chatbill.application.billing.postings import settle_hold
from chatbill.application.ports.billing import BillingStore, BillingTransaction
from chatbill.application.ports.clock import Clock, NewId
from chatbill.domain.billing.holds import Hold
from chatbill.domain.shared.errors import AlreadySettled, InvariantViolation, NotFound
from chatbill.domain.shared.ids import EntryId, HoldId

_log = logging.getLogger(__name__)

BATCH = 100
MAX_BATCHES = 100

_EVER = datetime.max.replace(tzinfo=UTC)


class SettleSubject(Protocol):
    """Ends the thing that a hold was for, and settles the hold with it."""

    def __call__(self, tx: Any, hold: Hold, *, at: datetime, entry_id: EntryId) -> bool:
        """Return False where there is no such thing, so that the hold is only released."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireHolds:
    """Release every hold that is past its time, for a subject of any kind; nothing is charged.

    `subjects` says how the subject of each kind is ended with its hold; other kinds have nothing to end. Safe to run at
    any moment, in any number of processes: work that is settled at the same moment wins or loses as a whole.
    """

    store: BillingStore
    clock: Clock
    new_id: NewId
    subjects: Mapping[str, SettleSubject] = field(default_factory=dict)

    async def __call__(self, *, even_early: bool = False) -> int:
        """Release what is due, at most `MAX_BATCHES` times `BATCH`; return how many holds were released.

        With `even_early`, release every hold: for a database that no service uses, such as a copy.
        """
        released = 0
        left: set[HoldId] = set()  # they stay due, and must not hide the holds behind them
        for _ in range(MAX_BATCHES):
            due = await self._due(_EVER if even_early else self.clock(), BATCH + len(left))
            new = [hold for hold in due if hold.id not in left]
            for hold in new:
                if await self.release(hold):
                    released += 1
                else:
                    left.add(hold.id)
            if len(new) < BATCH:
                break
        return released

    async def _due(self, now: datetime, limit: int) -> list[Hold]:
        return await self.store.write(lambda tx: tx.holds.due(now, limit))

    async def release(self, hold: Hold) -> bool:
        """Release a hold, and end what it was for; return False if it is not pending or cannot be released."""
        now, entry_id = self.clock(), EntryId(self.new_id())
        settle = self.subjects.get(hold.subject.kind)

        def work(tx: BillingTransaction) -> bool:
            wallet, stored = tx.wallets.lock(hold.wallet_id), tx.holds.get(hold.id)
            if stored is None or not stored.is_pending:
                return False
            if settle is None or not settle(tx, hold, at=now, entry_id=entry_id):
                settle_hold(tx, wallet, hold, 0, entry_id=entry_id, at=now)
            return True

        try:
            return await self.store.write(work)
        except AlreadySettled:
            return False
        except (InvariantViolation, NotFound):
            # One hold that cannot be released must not keep the others from it.
            _log.exception("hold_not_released", extra={"hold_id": hold.id, "advice": "run: chatbill ledger verify"})
            return False
