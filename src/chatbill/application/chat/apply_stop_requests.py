"""Heed stops: replies that are written here end when their person asked another process to stop them."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.replies import Replies
from chatbill.application.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStopRequests:
    """Look whether any reply that is being written in this process was asked to stop elsewhere, and stop it.

    One query for all of them, and none while nothing is written here.
    """

    store: Store
    replies: Replies

    async def __call__(self) -> int:
        """Stop what was asked to stop; return how many replies that were."""
        going_on = self.replies.going_on()
        if not going_on:
            return 0
        asked = await self.store.read(lambda snapshot: snapshot.interactions.asked_to_stop(going_on))
        return sum(self.replies.stop(interaction_id) for interaction_id in asked)
