"""The feeds of events, one for each person who has the page open."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import InteractionId, UserId, WalletId
from chatbill.entrypoints.ui.live.growing import FollowedReply, GrowingReply

KEPT: Final = 128
"""The number of events that are kept for connections that were lost."""
KEPT_BYTES: Final = 512 * 1_024


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event, numbered in its feed."""

    number: int
    name: str
    data: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class TemporaryEnd:
    """The end of a temporary reply with its text, which is nowhere else, and its time by the clock of the loop."""

    told: dict[str, Any]
    at: float


@dataclass(slots=True, kw_only=True, eq=False)
class Feed:
    """The events of one person, for all their connections. Only the newest are kept.

    A connection remembers the number of the last event that it has sent. If the next one is not kept any more, it
    begins with `snapshot`, so a slow connection takes no memory.
    """

    user_id: UserId
    wallet_id: WalletId
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    readers: int = 0
    unread_since: float = 0.0
    balance: dict[str, Any] | None = None
    growing: dict[InteractionId, GrowingReply] = field(default_factory=dict)
    number: int = 0
    _awaited: set[InteractionId] = field(default_factory=set)
    _ends: deque[TemporaryEnd] = field(default_factory=deque)
    _events: deque[FeedEvent] = field(default_factory=deque)
    _bytes: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def held(self) -> int:
        """Return the credits that are held for the replies that grow."""
        return sum(growing.reply.accepted.held for growing in self.growing.values())

    def add(self, name: str, data: dict[str, Any]) -> None:
        """Add an event, and wake the connections."""
        self.number += 1
        event = FeedEvent(self.number, name, data, sum(len(str(value)) for value in data.values()))
        self._events.append(event)
        self._bytes += event.size
        while len(self._events) > 1 and (len(self._events) > KEPT or self._bytes > KEPT_BYTES):
            self._bytes -= self._events.popleft().size
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def after(self, number: int, *, timeout_s: float) -> list[FeedEvent] | None:
        """Return the events past a number, waiting for one if there is none; None if they are not kept any more."""
        oldest = self._events[0].number - 1 if self._events else self.number
        if not oldest <= number <= self.number:
            return None
        if number == self.number:
            news = self._news
            try:
                await asyncio.wait_for(news.wait(), timeout_s)
            except TimeoutError:
                return []
            return await self.after(number, timeout_s=0)
        return [event for event in self._events if event.number > number]

    def snapshot(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that bring a page up to date which has seen none."""
        said = [("balance", self.balance)] if self.balance else []
        replies = [("reply", growing.state()) for growing in self.growing.values()]
        ends = [("settled", end.told) for end in self._ends]
        return [*said, ("conversations", {}), ("models", {}), *ends, *replies]

    @property
    def is_awaited(self) -> bool:
        """Return True while it has the text of a temporary reply, whose page may not be connected now."""
        return bool(self._awaited or self._ends)

    def expect(self, interaction_id: InteractionId) -> None:
        """Note that a temporary reply is written, whose end must be kept for its page."""
        self._awaited.add(interaction_id)

    def keep(self, told: dict[str, Any]) -> None:
        """Keep the end of a temporary reply for pages that will connect. The newest are kept, within `KEPT_BYTES`."""
        self._awaited.discard(told["id"])
        self._ends.append(TemporaryEnd(told, asyncio.get_running_loop().time()))
        while len(self._ends) > 1 and sum(len(end.told["reply"] + end.told["html"]) for end in self._ends) > KEPT_BYTES:
            self._ends.popleft()

    def kept(self, interaction_id: InteractionId) -> dict[str, Any] | None:
        """Return the end of a temporary reply if it is still kept."""
        return next((end.told for end in self._ends if end.told["id"] == interaction_id), None)

    def forget(self, *, before: float) -> None:
        """Forget the temporary replies that ended before a time."""
        while self._ends and self._ends[0].at < before:
            self._ends.popleft()

    def follow(self, reply: FollowedReply, settled: Callable[[GrowingReply], Awaitable[None]]) -> GrowingReply:
        """Follow a reply until its end, unless it is followed already. `settled` is called then."""
        ids = reply.accepted.interaction_id
        if (known := self.growing.get(ids)) is not None:
            return known
        growing = self.growing[ids] = GrowingReply(reply=reply, tell=self.add)

        async def run() -> None:
            try:
                await growing.follow()
            finally:
                del self.growing[ids]
            await settled(growing)

        task = asyncio.create_task(run(), name=f"feed of {ids}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: self._awaited.discard(ids))
        return growing

    def note(self, wallet: Wallet) -> None:
        """Tell the balance if it is another one."""
        balance = {"balance": wallet.posted, "held": wallet.held, "available": wallet.available}
        if balance != self.balance:
            self.balance = balance
            self.add("balance", balance)

    def close(self) -> None:
        """Stop following. Replies go on."""
        for task in self._tasks:
            task.cancel()
