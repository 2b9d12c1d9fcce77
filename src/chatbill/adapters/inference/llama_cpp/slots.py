"""Give each request a slot of llama.cpp, so that what one owner had read is never reused for another one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from chatbill.adapters.inference.availability.turns import FairSlots
from chatbill.domain.shared.ids import UserId

Messages = Sequence[dict[str, Any]]


@dataclass(slots=True)
class Slot:
    """One sequence of llama.cpp's cache, whose keys and values are those of the last request there."""

    number: int
    owner: UserId | None = None
    messages: Messages = ()
    last_used: int = 0
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The slot of a request; what is cached there may be reused where `reuse` is true."""

    number: int
    reuse: bool


@dataclass(slots=True)
class OwnedSlots:
    """The slots of one process. Belongs to one event loop.

    A conversation returns to its slot. Another request takes a slot without an owner, or else the one that is longest
    unused; what is cached there is reused only for the same owner. So the time to the first token does not show what
    another person has asked.
    """

    count: int
    _slots: list[Slot] = field(init=False)
    _turns: FairSlots = field(init=False)
    _clock: int = 0

    def __post_init__(self) -> None:
        self._slots = [Slot(number) for number in range(self.count)]
        self._turns = FairSlots(self.count)

    @asynccontextmanager
    async def taken(self, owner: UserId | None, messages: Messages) -> AsyncIterator[Place]:
        """Wait for a free slot, and hold it within the block."""
        async with self._turns.slot(owner):
            slot = self._best(owner, messages)
            reuse = owner is not None and slot.owner == owner
            self._clock += 1
            slot.owner, slot.messages, slot.last_used, slot.busy = owner, messages, self._clock, True
            try:
                yield Place(slot.number, reuse)
            finally:
                slot.busy = False

    def _best(self, owner: UserId | None, messages: Messages) -> Slot:
        free = [slot for slot in self._slots if not slot.busy]
        if owner is not None:
            own = [
                (_shared_turns(slot.messages, messages), slot.last_used, slot) for slot in free if slot.owner == owner
            ]
            shared, _, slot = max(own, key=lambda each: each[:2], default=(0, 0, free[0]))
            if shared:
                return slot
        return min(free, key=lambda slot: (slot.owner is not None, slot.last_used))


def _shared_turns(cached: Messages, asked: Messages) -> int:
    """Return how many messages both begin with, not counting one of the system, which all conversations may share."""
    shared = 0
    for one, other in zip(cached, asked, strict=False):
        if one != other:
            break
        shared += one["role"] != "system"
    return shared
