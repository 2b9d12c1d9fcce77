"""Apply stop requests: stop the replies of this process for which another process took the request."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyStopRequests:
    """Stop each reply of this process that another process was asked to stop.

    One query for all of them, and none while nothing is written here.
    """

    store: Store
    replies: Replies

    async def __call__(self) -> int:
        """Stop them; return how many replies there were."""
        running = self.replies.running_ids()
        if not running:
            return 0
        asked = await self.store.read(lambda snapshot: snapshot.interactions.asked_to_stop(running))
        return sum(self.replies.stop(interaction_id) for interaction_id in asked)
