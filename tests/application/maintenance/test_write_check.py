"""Whether the store keeps what is written: how often that is tried, how long it may take, and what is said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.ports.store import Snapshot, StoreUnavailable, Transaction
from chatbill.application.shared.write_check import WriteCheck
from chatbill.domain.shared.descriptions import Description
from chatbill.testing import CountingIds

T = TypeVar("T")
FULL = StoreUnavailable("/var/lib/x: no space", advice=Description("disk_full"))


class FailingStore(MemoryStore):
    """Counts what it is asked, and fails or hangs when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.problem: StoreUnavailable | None = None
        self.unreadable: StoreUnavailable | None = None
        self.hangs = False

    async def write(self, work: Callable[[Transaction], T]) -> T:
        self.writes += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.problem:
            raise self.problem
        return await super().write(work)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        if self.unreadable:
            raise self.unreadable
        return await super().read(query)


async def test_one_small_write_serves_everybody_who_asks_for_a_while() -> None:
    store = FailingStore()
    check = WriteCheck(store, CountingIds(), every_s=0.2)
    assert await asyncio.gather(*(check() for _ in range(50))) == [None] * 50
    assert await check() is None
    assert store.writes == 1
    await asyncio.sleep(0.25)
    await check()
    assert store.writes == 2


async def test_a_problem_is_not_checked_more_often_and_ends_when_a_write_works() -> None:
    store = FailingStore()
    check = WriteCheck(store, CountingIds(), every_s=0.2)
    store.problem = FULL
    assert [await check() for _ in range(20)] == [Description("disk_full")] * 20
    assert store.writes == 1
    store.problem = None
    assert await check() == Description("disk_full")
    await asyncio.sleep(0.25)
    assert await check() is None
    assert store.writes == 2


async def test_what_cannot_be_read_is_seen_at_once_and_not_written_to() -> None:
    store = FailingStore()
    check = WriteCheck(store, CountingIds())
    assert await check() is None
    store.unreadable = StoreUnavailable("postgresql://alice:secret@db is down")
    assert await check() == Description("store_failing")
    store.unreadable = None
    assert await check() is None
    assert store.writes == 1


async def test_a_write_that_hangs_is_given_up_and_asked_for_once() -> None:
    store = FailingStore()
    store.hangs = True
    check = WriteCheck(store, CountingIds(), timeout_s=0.1)
    answers = await asyncio.wait_for(asyncio.gather(check(), check()), 1)
    assert list(answers) == [Description.of("store_slow", after_s=0.1)] * 2
    assert store.writes == 1


async def test_one_who_does_not_wait_takes_nothing_from_the_others() -> None:
    store = FailingStore()
    store.hangs = True
    check = WriteCheck(store, CountingIds(), timeout_s=0.1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(check(), 0.01)
    assert await check() == Description.of("store_slow", after_s=0.1)
    assert store.writes == 1


async def test_the_log_tells_when_a_problem_begins_and_ends_and_quotes_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    store = FailingStore()
    check = WriteCheck(store, CountingIds(), every_s=0)
    store.problem = FULL
    for _ in range(3):
        await check()
    store.problem = None
    for _ in range(3):
        await check()
    assert [record.getMessage() for record in caplog.records] == [
        "database_unusable",
        "database_usable_again",
    ]
