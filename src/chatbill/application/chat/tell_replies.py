"""Tell other processes what is written here, while any of them follows it, and stop what they ask to stop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from chatbill.application.chat.batches import batches
from chatbill.application.chat.events import Accepted, Delta
from chatbill.application.chat.replies import Reply
from chatbill.application.chat.reply_signals import REQUESTS, Told, topic_of
from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.signals import Signals
from chatbill.domain.shared.ids import InteractionId

GATHER_S: Final = 0.05
IDLE_S: Final = 5.0
MAX_CHARS: Final = 16_384
"""The most characters of one message."""


@dataclass(kw_only=True)
class TellReplies:
    """Heed the requests of other processes. A reply that no process follows costs nothing."""

    signals: Signals
    replies: Replies
    _told: dict[InteractionId, _ToldReply] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self) -> int:
        """Heed requests until it is cancelled."""
        try:
            async with self.signals.listen(REQUESTS) as inbox:
                while True:
                    if request := await inbox.next(timeout_s=60):
                        self._heed(request)
        finally:
            for task in self._tasks:
                task.cancel()

    def _heed(self, request: str) -> None:
        match request.split(" "):
            case ["stop", interaction_id]:
                self.replies.stop(InteractionId(interaction_id))
            case ["follow", interaction_id, seen] if reply := self.replies.get(InteractionId(interaction_id)):
                task = asyncio.create_task(self._tell(reply, int(seen) if seen.isdecimal() else 0))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case _:
                pass  # it is for the process that writes the reply

    async def _tell(self, reply: Reply, seen: int) -> None:
        """Tell a reply to all who follow it; what is told already, only to the one that has not seen it."""
        interaction_id = reply.accepted.interaction_id
        if told := self._told.get(interaction_id):
            await told.repeat(seen)
            return
        told = self._told[interaction_id] = _ToldReply(self.signals, topic_of(interaction_id), seen)
        try:
            await told.follow(reply)
        finally:
            del self._told[interaction_id]


@dataclass(slots=True)
class _ToldReply:
    """A reply that is told while it is written: what came before the character number `begin` is known already."""

    signals: Signals
    topic: str
    begin: int
    text: str = ""

    async def repeat(self, seen: int) -> None:
        """Tell what is written so far from this character on."""
        await self._send(seen, len(self.text))

    async def follow(self, reply: Reply) -> None:
        """Tell the reply until its end, or until no process listens."""
        async with aclosing(batches(reply.follow(), gather_s=GATHER_S, idle_s=IDLE_S)) as gathered:
            async for batch in gathered:
                start = len(self.text)
                self.text += "".join(event.text for event in batch if isinstance(event, Delta))
                if not await self._send(max(start, self.begin), len(self.text)):
                    return
                if any(not isinstance(event, Delta | Accepted) for event in batch):
                    await self.signals.send(self.topic, Told(len(self.text), "", ended=True).dumps())

    async def _send(self, start: int, end: int) -> bool:
        """Send a part of the text in messages of bounded size; return False if no process listens."""
        for place in range(start, end, MAX_CHARS):
            told = Told(place, self.text[place : min(end, place + MAX_CHARS)])
            if not await self.signals.send(self.topic, told.dumps()):
                return False
        return True
