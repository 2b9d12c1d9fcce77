"""Regenerate: let a model answer a message again, as a branch of its own. It costs what a reply costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatbill.application.chat.drafts import MAX_NODES
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.branches import parents
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import Conflict, NotFound, RequestInProgress
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerate:
    """Send the message of an interaction again, to the same model or to another one. The earlier reply stays.

    Raises `NotFound` for an interaction of another account, `RequestInProgress` while its reply is being written,
    `Conflict` if its text was erased, and what `SendMessage` raises.
    """

    store: Store
    send_message: SendMessage

    async def __call__(self, principal: Principal, interaction_id: InteractionId, message: Message) -> Reply | Replay:
        """Accept the message; `message` has the settings of the new reply, "" as its model for the same model."""
        earlier, parent_id = await self.store.read(lambda snapshot: _earlier(snapshot, principal, interaction_id))
        again = replace(
            message,
            model=message.model or earlier.model,
            text=earlier.prompt,
            conversation_id=earlier.conversation_id,
            parent_id=parent_id or earlier.conversation_id,
        )
        return await self.send_message(principal, again)


def _earlier(
    snapshot: Snapshot, principal: Principal, interaction_id: InteractionId
) -> tuple[Interaction, InteractionId | None]:
    """Return the interaction, and the one that it follows."""
    earlier = snapshot.interactions.get(interaction_id)
    if (
        earlier is None
        or earlier.user_id != principal.user_id
        or not snapshot.conversations.get(earlier.conversation_id)
    ):
        raise NotFound("interaction")
    if earlier.is_running:
        raise RequestInProgress
    if not earlier.prompt:
        raise Conflict("texts_erased")
    nodes = snapshot.interactions.nodes(earlier.conversation_id, limit=MAX_NODES)
    return earlier, parents(nodes).get(earlier.id)
