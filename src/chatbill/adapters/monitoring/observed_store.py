"""A store whose transactions are timed, and whose billing events are counted once they are kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from chatbill.application.ports.metrics import Metrics, Pooled, PoolFigures
from chatbill.application.ports.repositories.outbox import Outbox
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.domain.billing.events import BillingEvent, RecordedEvent

T = TypeVar("T")
U = TypeVar("U")


class ObservedStore:
    """Another store. Only a write that was kept is counted, and as often as it was kept: once."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` by the store, and count its events."""

        def observed(tx: Transaction) -> tuple[T, list[BillingEvent]]:
            # The work may run again, and then only its last events count.
            seen = _ObservedTransaction(tx)
            return work(cast("Transaction", seen)), seen.outbox.added

        result, events = await self._timed(self._store.write(observed), is_write=True)
        for event in events:
            self._metrics.credits_moved(event)
        return result

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run `query` by the store."""
        return await self._timed(self._store.read(query), is_write=False)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    def pools(self) -> Mapping[str, PoolFigures]:
        """Return the pools of the store, if it has any."""
        return self._store.pools() if isinstance(self._store, Pooled) else {}

    async def _timed(self, call: Awaitable[U], *, is_write: bool) -> U:
        started, failed = time.perf_counter(), False
        try:
            return await call
        except StoreUnavailable:
            failed = True
            raise
        finally:
            self._metrics.store_used(is_write=is_write, seconds=time.perf_counter() - started, failed=failed)


class _ObservedTransaction:
    """A transaction whose outbox notes what is added."""

    __slots__ = ("_tx", "outbox")

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.outbox = _ObservedOutbox(tx.outbox)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


class _ObservedOutbox:
    __slots__ = ("_outbox", "added")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.added: list[BillingEvent] = []

    def add(self, event: BillingEvent) -> None:
        self._outbox.add(event)
        self.added.append(event)

    def after(self, position: str | None, limit: int) -> list[RecordedEvent]:
        return self._outbox.after(position, limit)

    def by_hand(self, *, since: datetime, at_least: int, limit: int) -> list[BillingEvent]:
        return self._outbox.by_hand(since=since, at_least=at_least, limit=limit)

    def forget(self, *, before: datetime, limit: int) -> int:
        return self._outbox.forget(before=before, limit=limit)
