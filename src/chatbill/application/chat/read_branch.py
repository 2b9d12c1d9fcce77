"""Read a branch of a conversation: the messages and replies that lead to one of them, page by page."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.repositories.paging import fitting
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import MAX_PAGE_BYTES, checked_limit
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.branches import newest_after, parents, path_to, siblings
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId, InteractionId

MAX_NODES = 20_000
"""Interactions of a conversation among which branches are found; older ones are not shown."""
PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchTurn:
    """An interaction on a branch, the one that it follows, and all that follow the same one, the oldest first."""

    interaction: Interaction
    parent_id: InteractionId | None
    siblings: tuple[InteractionId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A conversation and a part of one of its branches, oldest first.

    `has_older` tells whether the branch has turns before these, `spent` is what all replies of the conversation cost,
    in credits.
    """

    conversation: Conversation
    turns: tuple[BranchTurn, ...]
    has_older: bool
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBranch:
    """Read a branch of a conversation of the principal.

    Raises `NotFound` for another account's conversation, and for an interaction that is not in it.
    """

    store: Store

    async def __call__(
        self,
        principal: Principal,
        conversation_id: ConversationId,
        *,
        at: str | None = None,
        before: str | None = None,
        limit: int = PAGE,
    ) -> Branch:
        """Return the last turns of the branch with the interaction `at`, or of the branch that was continued last.

        With `before`, they are those that lead to this interaction, without it.
        """
        limit = checked_limit(limit)

        def query(snapshot: Snapshot) -> Branch:
            conversation = snapshot.conversations.get(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            return _branch(snapshot, conversation, at, before, limit)

        return await self.store.read(query)

    async def turn(self, principal: Principal, interaction_id: InteractionId) -> BranchTurn:
        """Return one interaction of the principal with its place among the branches."""

        def query(snapshot: Snapshot) -> BranchTurn:
            found = snapshot.interactions.get(interaction_id)
            if found is None or found.user_id != principal.user_id:
                raise NotFound("interaction")
            if snapshot.conversations.get(found.conversation_id) is None:
                raise NotFound("interaction")
            nodes = snapshot.interactions.nodes(found.conversation_id, limit=MAX_NODES)
            return BranchTurn(
                interaction=found,
                parent_id=parents(nodes).get(found.id),
                siblings=siblings(nodes).get(found.id, (found.id,)),
            )

        return await self.store.read(query)

    async def spent(self, principal: Principal, conversation_id: ConversationId) -> int:
        """Return what all replies of a conversation of the principal cost, in credits."""

        def query(snapshot: Snapshot) -> int:
            conversation = snapshot.conversations.get(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            return snapshot.interactions.spent_in(conversation_id)

        return await self.store.read(query)


def _branch(snapshot: Snapshot, conversation: Conversation, at: str | None, before: str | None, limit: int) -> Branch:
    interactions = snapshot.interactions
    nodes = interactions.nodes(conversation.id, limit=MAX_NODES)
    parent_of, beside = parents(nodes), siblings(nodes)
    for named in (at, before):
        if named is not None and named not in parent_of:
            raise NotFound("interaction")
    end = before or (newest_after(InteractionId(at), nodes) if at else nodes[0].id if nodes else None)
    path = path_to(InteractionId(end), nodes)[1 if before else 0 :] if end else []
    found = filter(None, map(interactions.get, path[:limit]))
    shown = list(fitting(found, MAX_PAGE_BYTES, Interaction.text_bytes))
    turns = [BranchTurn(interaction=one, parent_id=parent_of[one.id], siblings=beside[one.id]) for one in shown]
    return Branch(
        conversation=conversation,
        turns=tuple(reversed(turns)),
        has_older=len(turns) < len(path),
        spent=interactions.spent_in(conversation.id),
    )
