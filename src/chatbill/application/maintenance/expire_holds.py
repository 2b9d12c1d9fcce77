"""Expire holds: release the holds that a crash or a stuck engine left behind once their time is over."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from chatbill.application.chat.settlement import INTERRUPTED, settle
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.repositories.holds import PendingInteraction
from chatbill.application.ports.store import Store
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import EntryId

_log = logging.getLogger(__name__)

BATCH = 100
MAX_BATCHES = 100

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireHolds:
    """Release every hold that is past its time and mark its interaction `interrupted`; nothing is charged.

    Safe to run at any moment, in any number of processes: a reply that is settled at the same moment wins or loses
    as a whole.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, *, even_early: bool = False) -> int:
        """Release what is due, at most `MAX_BATCHES` times `BATCH`; return how many interactions were interrupted.

        With `even_early`, release every hold: for a database that no process uses, such as a copy.
        """
        released = 0
        for _ in range(MAX_BATCHES):
            due = await self._due(_EVER if even_early else self.clock())
            for work in due:
                released += await self._interrupt(work)
            if len(due) < BATCH:
                break
        return released

    async def _due(self, now: datetime) -> list[PendingInteraction]:
        return await self.store.read(lambda snapshot: snapshot.holds.due(now, BATCH))

    async def _interrupt(self, work: PendingInteraction) -> bool:
        now, entry_id = self.clock(), EntryId(self.new_id())
        try:
            settled = await settle(self.store, work, INTERRUPTED, at=now, entry_id=entry_id)
        except InvariantViolation:
            # One hold that cannot be released must not keep the others from it.
            _log.exception(
                "the hold of interaction %s cannot be released; run: chatbill ledger verify", work.interaction.id
            )
            return False
        return settled.outcome is Outcome.INTERRUPTED
