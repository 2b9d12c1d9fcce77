"""A store whose events are counted once they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.monitoring.observed_store import ObservedStore
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import StoreUnavailable, Transaction
from chatbill.domain.billing.events import BillingEvent, EventKind
from tests.kit.metrics import MemoryMetrics
from tests.kit.rows import NOON, PURSE, add_person
from tests.kit.support import world

T = TypeVar("T")


class RepeatingStore(MemoryStore):
    """Runs all work twice, as a store does after a deadlock, and keeps the second run."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        with pytest.raises(ZeroDivisionError):
            await super().write(lambda tx: (work(tx), 1 // 0))
        return await super().write(work)


class DeafStore(MemoryStore):
    """Answers nothing."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        raise StoreUnavailable("gone")


async def test_events_are_counted_once_they_are_kept_however_often_the_work_ran() -> None:
    metrics = MemoryMetrics()
    here = world(store=ObservedStore(RepeatingStore(), metrics))
    alice = await here.person()
    reply = await here.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hi"))
    await reply.finished()
    assert [(event.kind, event.amount) for event in metrics.events] == [
        (EventKind.GRANTED, 100),
        (EventKind.CHARGED, -1),
    ]
    assert {call["is_write"] for call in metrics.calls} == {True, False}
    assert not any(call["failed"] for call in metrics.calls)


async def test_what_was_not_kept_is_not_counted() -> None:
    metrics = MemoryMetrics()
    store = ObservedStore(MemoryStore(), metrics)

    def work(tx: Transaction) -> None:
        add_person(tx)
        tx.outbox.add(BillingEvent(kind=EventKind.GRANTED, wallet_id=PURSE, amount=1, at=NOON))
        raise KeyError

    with pytest.raises(KeyError):
        await store.write(work)
    assert metrics.events == []
    with pytest.raises(StoreUnavailable):
        await ObservedStore(DeafStore(), metrics).write(lambda _tx: None)
    assert [call["failed"] for call in metrics.calls] == [False, True]
