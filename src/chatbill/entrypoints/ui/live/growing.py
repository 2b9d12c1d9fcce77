"""A reply that grows: its HTML so far, in blocks that have ended and one that is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from chatbill.application.chat.batches import batches
from chatbill.application.chat.events import Accepted, Delta, Event
from chatbill.domain.chat.interactions import Interaction
from chatbill.entrypoints.ui.markdown import LiveMarkdown

BATCH_S: Final = 0.05
"""Words are sent at most this often."""
IDLE_S: Final = 30.0
GLIMPSE_S: Final = 0.5
GROWTH: Final = 0.12
"""An open block is sent again when it has grown by this part of its length, so that all its versions together stay
below ten times its length."""


class FollowedReply(Protocol):
    """A reply of this process or of another one."""

    @property
    def accepted(self) -> Accepted:
        """Return its first event."""
        ...

    @property
    def settled(self) -> Interaction | None:
        """Return the interaction once it has ended; None before that, and if its end is unknown."""
        ...

    def follow(self) -> AsyncGenerator[Event, None]:
        """Yield its events from the first one on."""
        ...


@dataclass(slots=True, kw_only=True)
class GrowingReply:
    """Renders a reply while it is written, and tells `tell` what is new, until the reply has ended.

    `ended` are blocks that change no more, `open` is the last one.
    """

    reply: FollowedReply
    tell: Callable[[str, dict[str, Any]], None]
    ended: list[str] = field(default_factory=list)
    open: str = ""
    text: str = ""
    _live: LiveMarkdown = field(default_factory=LiveMarkdown)
    _told: int = 0

    @property
    def ids(self) -> dict[str, str]:
        """Return the ids of the reply and of its conversation."""
        accepted = self.reply.accepted
        return {"id": accepted.interaction_id, "conversation": accepted.conversation_id}

    def state(self) -> dict[str, Any]:
        """Return the whole reply so far, as an event."""
        return {**self.ids, "from": 0, "ended": list(self.ended), "open": self.open}

    async def follow(self) -> None:
        """Follow the reply to its end."""
        self.tell("started", self.ids)
        async with aclosing(batches(self.reply.follow(), gather_s=BATCH_S, idle_s=IDLE_S)) as gathered:
            async for batch in gathered:
                added = "".join(event.text for event in batch if isinstance(event, Delta))
                self.text += added
                if any(not isinstance(event, Delta | Accepted) for event in batch):
                    return
                if added:
                    await self.render()

    async def render(self) -> None:
        """Render what is written, and tell what is new if it is worth it."""
        # In a thread, because a long block takes longer than other people should wait.
        *ended, open_ = await asyncio.to_thread(self._live.parts, self.text)
        new = ended[len(self.ended) :]
        if not new and self._told and len(self.text) - self._told < GROWTH * len(open_):
            return
        event = {**self.ids, "from": len(self.ended), "ended": new, "open": open_}
        self.ended, self.open, self._told = ended, open_, len(self.text)
        self.tell("reply", event)


async def glimpse(reply: FollowedReply) -> GrowingReply:
    """Return a reply as far as it is written now. One of another process is waited for during `GLIMPSE_S`."""
    growing = GrowingReply(reply=reply, tell=lambda _name, _data: None)
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(GLIMPSE_S),
            aclosing(batches(reply.follow(), gather_s=BATCH_S, idle_s=IDLE_S)) as gathered,
        ):
            async for batch in gathered:
                growing.text = "".join(event.text for event in batch if isinstance(event, Delta))
                if growing.text:
                    break
    if growing.text:
        await growing.render()
    return growing
