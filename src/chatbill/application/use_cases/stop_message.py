"""Stop a message: the person has read enough."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.application.principal import Principal
from chatbill.application.replies import Replies
from chatbill.domain.errors import NotFound
from chatbill.domain.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMessage:
    """Stop the writing of a reply; its stream ends with `Stopped`. Harmless when it has ended already.

    Raises `NotFound` for an interaction that does not exist or is somebody else's.
    """

    store: Store
    replies: Replies

    async def __call__(self, principal: Principal, interaction_id: InteractionId) -> None:
        """Ask the reply to stop and return at once."""
        interaction = await self.store.read(lambda snapshot: snapshot.interactions.get(interaction_id))
        if interaction is None or interaction.user_id != principal.user_id:
            raise NotFound("This interaction")
        self.replies.stop(interaction_id)
