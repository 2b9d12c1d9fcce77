"""Turn messages into requests to models: what was said before, and how long the reply may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatbill.application.chat.messages import Message, Said
from chatbill.application.chat.pace import Pace
from chatbill.application.ports.engine import GREEDY_BELOW, GenerationRequest
from chatbill.application.ports.repositories.interactions import InteractionReader
from chatbill.application.ports.store import Snapshot
from chatbill.application.shared.bounds import ReplyBounds
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.branches import path_to
from chatbill.domain.chat.catalogue import Catalogue, Model
from chatbill.domain.chat.conversations import Role, Turn, merged_turns
from chatbill.domain.shared.errors import ContextLengthExceeded, NotFound, TooLarge
from chatbill.domain.shared.ids import ConversationId, ModelId

MAX_NODES = 2_000
"""Interactions of a conversation among which a branch is followed back."""
MAX_REMEMBERED = 200
"""Interactions that are read back to make the prompt; the engine trims them to the model's window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Checks messages and makes requests of them, by the models, their paces and the bounds of the service."""

    catalogue: Catalogue
    bounds: ReplyBounds
    paces: Mapping[ModelId, Pace]

    def longest_reply(self, message: Message) -> int:
        """Return the most tokens that the reply may have, by the message, the model, its pace and the service."""
        model = self.catalogue.pick(message.model)
        most = min(model.max_reply_tokens, self.bounds.max_reply_tokens)
        return int(min(message.max_tokens or most, most, self.paces[model.id].tokens_within(self.bounds.deadline_s)))

    def check(self, message: Message) -> Model:
        """Return the model of a message. Raises `InvalidRequest`, `TooLarge`, `ContextLengthExceeded`."""
        model = self.catalogue.pick(message.model)
        if not message.trim and message.max_tokens and message.max_tokens > model.context_tokens:
            raise ContextLengthExceeded(limit=model.context_tokens, whole=True, reply=message.max_tokens)
        try:
            message.check(max_chars=self.bounds.max_message_chars, max_reply_tokens=self.bounds.max_reply_tokens)
        except TooLarge as error:
            # Programs that send a whole conversation try a larger model, or a shorter conversation, for this error.
            if message.trim or message.likely_tokens <= model.context_tokens:
                raise
            raise ContextLengthExceeded(limit=model.context_tokens, whole=True) from error
        return model

    def request(self, principal: Principal, model: Model, message: Message, turns: Sequence[Turn]) -> GenerationRequest:
        """Return the request for the reply to a message after these turns."""
        most = self.longest_reply(message)
        return GenerationRequest(
            model=model.id,
            turns=merged_turns((*turns, Turn(Role.USER, message.text))),
            max_tokens=most,
            least_tokens=most if message.trim or message.max_tokens is not None else 1,
            trim=message.trim,
            temperature=_usable_temperature(message.temperature),
            top_p=message.top_p,
            seed=message.seed,
            stop=message.stop,
            owner=principal.user_id,
            temporary=message.temporary,
        )


def said_before(snapshot: Snapshot, principal: Principal, message: Message) -> Said:
    """Return the earlier turns of the conversation. Raises `NotFound` for one of another user."""
    if message.history is not None:
        return Said(message.history)
    if message.conversation_id is None:
        return Said(())
    conversation = snapshot.conversations.get(message.conversation_id)
    if conversation is None or conversation.user_id != principal.user_id:
        raise NotFound("conversation")
    if message.parent_id == conversation.id:
        return Said(())
    interactions = snapshot.interactions
    if conversation.branched or message.parent_id is not None:
        return _said_on_branch(interactions, conversation.id, message.parent_id)
    turns, parent_id = interactions.turns(conversation.id, limit=MAX_REMEMBERED), interactions.before(conversation.id)
    if len(turns) < 2 * MAX_REMEMBERED:
        return Said(turns, parent_id=parent_id)
    unread = 2 * interactions.count_replies(conversation.id) - len(turns)
    return Said(turns, unread, parent_id)


def _said_on_branch(interactions: InteractionReader, conversation_id: ConversationId, leaf_id: str | None) -> Said:
    """Return the turns that lead to this interaction, or to the newest one of the conversation."""
    nodes = interactions.nodes(conversation_id, limit=MAX_NODES)
    leaf = next((node.id for node in nodes if leaf_id in {None, node.id}), None)
    if leaf is None:
        if leaf_id is not None:
            raise NotFound("interaction")
        return Said(())
    path = path_to(leaf, nodes)
    turns = interactions.turns_of(path, limit=MAX_REMEMBERED)
    return Said(turns, 2 * max(0, len(path) - MAX_REMEMBERED), leaf)


def _usable_temperature(temperature: float | None) -> float | None:
    """Return a temperature that any engine can divide by, or 0; some servers fail on one that is too small."""
    return 0.0 if temperature is not None and temperature < GREEDY_BELOW else temperature
