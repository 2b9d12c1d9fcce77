"""Turns of one model, shared out by owner, so that many requests of one person delay nobody else for long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from chatbill.domain.shared.ids import UserId

Item = TypeVar("Item")

MAX_REMEMBERED = 1_000
"""Owners whose last turn is remembered after they have left the queue; many more than can wait at once."""


class FairQueue(Generic[Item]):
    """A queue that serves, of the owners that wait, the one whose last turn is longest ago.

    The items of one owner keep their order. An owner that was never served comes first, so an owner waits for at most
    one turn of each other owner. Requests without an owner count as those of one.
    """

    def __init__(self) -> None:
        self._waiting: dict[UserId | None, deque[Item]] = {}
        self._last_turn: dict[UserId | None, int] = {}  # the longest ago first
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[Item]:
        return (item for items in self._waiting.values() for item in items)

    def push(self, owner: UserId | None, item: Item) -> None:
        """Add an item behind the others of its owner."""
        self._waiting.setdefault(owner, deque()).append(item)

    def pop(self) -> Item:
        """Return the item whose turn it is. Raises `ValueError` when the queue is empty."""
        owner = min(self._waiting, key=lambda each: self._last_turn.get(each, 0))
        item = self._waiting[owner].popleft()
        self._drop_if_empty(owner)
        self._turn += 1
        self._last_turn.pop(owner, None)
        self._last_turn[owner] = self._turn
        if len(self._last_turn) > MAX_REMEMBERED:
            del self._last_turn[next(iter(self._last_turn))]
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
        turn = asyncio.get_running_loop().create_future()
        self._queue.push(owner, turn)
        self._hand_out()
        return turn

    @asynccontextmanager
    async def slot(self, owner: UserId | None) -> AsyncIterator[None]:
        """Wait for a slot, and hold it within the block."""
        turn = self.request(owner)
        try:
            await turn
            yield
        finally:
            self.give_back(owner, turn)

    def give_back(self, owner: UserId | None, turn: asyncio.Future[None]) -> None:
        """Free the slot, or stop waiting for it. Call it once."""
        if turn.done() and not turn.cancelled():
            self._free += 1
            self._hand_out()
        else:
            turn.cancel()
            self._queue.remove(owner, turn)

    def _hand_out(self) -> None:
        while self._free and len(self._queue):
            turn = self._queue.pop()
            if not turn.done():  # a waiter that was cancelled has not yet left the queue
                self._free -= 1
                turn.set_result(None)
