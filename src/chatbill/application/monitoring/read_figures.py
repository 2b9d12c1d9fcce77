"""Read figures: the state of the models, of the store and of the machine at this moment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from chatbill.application.ports.backups import Backups, LastBackup
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.engine import Engine
from chatbill.application.ports.machine import Machine
from chatbill.application.ports.metrics import Figures, Metrics, Pooled, StoredFigures
from chatbill.application.ports.signals import Signals
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable

MAX_HOLDS: Final = 10_000
"""More are counted as so many."""
TIMEOUT_S: Final = 3.0
FRESH_S: Final = 2.0
"""Figures are read again after this time, however often they are asked for."""

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class ReadFigures:
    """Read everything that can be read at once. A store that does not answer in time is left out."""

    store: Store
    engine: Engine
    machine: Machine
    clock: Clock
    metrics: Metrics
    signals: Signals
    backups: Backups | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last: tuple[float, Figures] | None = None

    async def __call__(self) -> Figures:
        """Return figures that are at most `FRESH_S` seconds old, and pass them on to the metrics."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > FRESH_S:
                figures = await self._read()
                self.metrics.observed(figures)
                self._last = time.monotonic(), figures
            return self._last[1]

    async def _read(self) -> Figures:
        now, stored = self.clock(), None
        with suppress(StoreUnavailable, TimeoutError):  # the readiness check logs it
            stored = await asyncio.wait_for(self.store.read(lambda snapshot: _stored(snapshot, now)), TIMEOUT_S)
        machine = await asyncio.to_thread(self.machine.read)
        pools = self.store.pools() if isinstance(self.store, Pooled) else {}
        return Figures(
            at=now,
            models=self.engine.status(),
            machine=machine,
            stored=stored,
            pools=pools,
            reaches_others=await self.signals.is_up(),
            backup=await self._backup(),
        )

    async def _backup(self) -> LastBackup | None:
        if self.backups is None:
            return None
        with suppress(TimeoutError):  # it is known the next time
            return await asyncio.wait_for(asyncio.to_thread(self.backups.newest), TIMEOUT_S)
        return None


def _stored(snapshot: Snapshot, now: datetime) -> StoredFigures:
    holds = snapshot.holds.due(_EVER, MAX_HOLDS)
    oldest = snapshot.outbox.after(None, 1)
    return StoredFigures(
        open_holds=len(holds),
        expired_holds=sum(hold.expires_at <= now for hold in holds),
        jobs=snapshot.jobs.counts(),
        oldest_due_at=snapshot.jobs.first_due(None, now),
        open_alerts=Counter(alert.kind.value for alert in snapshot.alerts.open_ones()),
        oldest_event_at=oldest[0].event.at if oldest else None,
    )
