"""Follow a reply: see what is written so far, what is written from now on, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from chatbill.application.chat.events import Event
from chatbill.application.chat.remote_replies import POLL_S, RemoteReply
from chatbill.application.chat.running_replies import Replies
from chatbill.application.ports.signals import Signals
from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowReply:
    """Follow a reply, at any time and from any device. Following changes neither the reply nor its charge.

    A reply of this process is seen as it grows. For a reply of another process, see `RemoteReply`.

    Raises `NotFound` for an interaction that does not exist or is another account's.
    """

    store: Store
    replies: Replies
    signals: Signals
    poll_s: float = POLL_S

    async def __call__(self, principal: Principal, interaction_id: InteractionId) -> AsyncGenerator[Event, None]:
        """Return the events of the reply from the first one on. Close the generator to leave early."""
        interaction = await self.store.read(lambda snapshot: snapshot.interactions.get(interaction_id))
        if interaction is None or interaction.user_id != principal.user_id:
            raise NotFound("interaction")
        if reply := self.replies.get(interaction_id):
            return reply.follow()
        return RemoteReply(interaction, store=self.store, signals=self.signals, poll_s=self.poll_s).follow()
