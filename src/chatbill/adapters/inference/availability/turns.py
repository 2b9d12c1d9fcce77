"""Shares the slots of one model out by owner, so that many requests of one person delay no other for long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from chatbill.domain.shared.ids import UserId

Item = TypeVar("Item")

MAX_REMEMBERED = 1_000
"""Owners whose last request is remembered after they have left the queue; many more than can wait at once."""


class FairQueue(Generic[Item]):
    """A queue that serves, of the owners that wait, the one that was served longest ago.

    The items of one owner keep their order. An owner that was never served comes first, so an owner waits for at most
    one request of each other owner. Requests without an owner count as those of one.
    """

    def __init__(self) -> None:
        self._waiting: dict[UserId | None, deque[Item]] = {}
        self._last_served: dict[UserId | None, int] = {}  # the longest ago first
        self._served = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[Item]:
        return (item for items in self._waiting.values() for item in items)

    def push(self, owner: UserId | None, item: Item) -> None:
        """Add an item behind the others of its owner."""
        self._waiting.setdefault(owner, deque()).append(item)

    def pop(self) -> Item:
        """Return the item that is served next. Raises `ValueError` when the queue is empty."""
        owner = min(self._waiting, key=lambda each: self._last_served.get(each, 0))
        item = self._waiting[owner].popleft()
        self._drop_if_empty(owner)
        self._served += 1
        self._last_served.pop(owner, None)
        self._last_served[owner] = self._served
        if len(self._last_served) > MAX_REMEMBERED:
            del self._last_served[next(iter(self._last_served))]
        return item

    def remove(self, owner: UserId | None, item: Item) -> None:
        """Take an item out, if it is there."""
        items = self._waiting.get(owner)
        if items and item in items:
            items.remove(item)
            self._drop_if_empty(owner)

    def _drop_if_empty(self, owner: UserId | None) -> None:
        if not self._waiting[owner]:
            del self._waiting[owner]


class FairSlots:
    """At most `count` holders at once; the others wait in a fair queue. It belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    def request(self, owner: UserId | None) -> asyncio.Future[None]:
        """Return a future that is done once the slot is the caller's. Give it back in any case."""
        slot = asyncio.get_running_loop().create_future()
        self._queue.push(owner, slot)
        self._hand_out()
        return slot

    @asynccontextmanager
    async def slot(self, owner: UserId | None) -> AsyncIterator[None]:
        """Wait for a slot, and hold it within the block."""
        slot = self.request(owner)
        try:
            await slot
            yield
        finally:
            self.give_back(owner, slot)

    def give_back(self, owner: UserId | None, slot: asyncio.Future[None]) -> None:
        """Free the slot, or stop waiting for it. Call it once."""
        if slot.done() and not slot.cancelled():
            self._free += 1
            self._hand_out()
        else:
            slot.cancel()
            self._queue.remove(owner, slot)

    def _hand_out(self) -> None:
        while self._free and len(self._queue):
            slot = self._queue.pop()
            if not slot.done():  # a waiter that was cancelled has not yet left the queue
                self._free -= 1
                slot.set_result(None)
