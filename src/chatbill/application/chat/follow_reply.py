"""Follow a reply: see what is written so far, what is written from now on, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from chatbill.application.chat.events import Accepted, Event
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId

POLL_S = 1.0
"""How often the store is asked whether a reply of another process has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowReply:
    """Follow a reply, at any time and from any device. To follow it changes neither the reply nor its charge.

    A reply of this process is seen while it grows. Of a reply that another process writes, only the beginning and the
    end are seen; the sweep ends it in its time if that process is gone.

    Raises `NotFound` for an interaction that does not exist or is another account's.
    """

    store: Store
    replies: Replies
    poll_s: float = POLL_S

    async def __call__(self, principal: Principal, interaction_id: InteractionId) -> AsyncGenerator[Event, None]:
        """Return the events of the reply from the first one on. Close the generator to leave early."""
        interaction = await self._read(principal, interaction_id)
        reply = self.replies.get(interaction_id)
        return reply.follow() if reply else self._from_store(principal, interaction)

    async def _from_store(self, principal: Principal, interaction: Interaction) -> AsyncGenerator[Event, None]:
        yield Accepted.of(interaction)
        # The reply may have ended here since it was read.
        while (interaction := await self._read(principal, interaction.id)).is_running:  # noqa: ASYNC110 - not ours
            await asyncio.sleep(self.poll_s)
        async for event in Replay(interaction):
            if not isinstance(event, Accepted):
                yield event

    async def _read(self, principal: Principal, interaction_id: InteractionId) -> Interaction:
        interaction = await self.store.read(lambda snapshot: snapshot.interactions.get(interaction_id))
        if interaction is None or interaction.user_id != principal.user_id:
            raise NotFound("interaction")
        return interaction
