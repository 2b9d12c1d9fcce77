"""Read a conversation: its title and its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chatbill.application.chat.list_history import position_of
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import (
    MAX_PAGE,
    MAX_PAGE_BYTES,
    Page,
    checked_limit,
    decode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.branches import Node, parents
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId, InteractionId


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation and a page of its interactions, newest first.

    `parents` has, for each of them, the interaction that it follows; None for one that begins the conversation.
    """

    conversation: Conversation
    page: Page[Interaction]
    parents: Mapping[InteractionId, InteractionId | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConversation:
    """Read a conversation of the principal. Raises `NotFound` for another account's, and `InvalidRequest`."""

    store: Store

    async def __call__(
        self, principal: Principal, conversation_id: ConversationId, *, limit: int = MAX_PAGE, cursor: str | None = None
    ) -> Thread:
        """Return the conversation with one page of its interactions."""
        limit, after = checked_limit(limit), decode_position(cursor)

        def query(snapshot: Snapshot) -> tuple[Conversation, list[Interaction]]:
            conversation = snapshot.conversations.get(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            rows = snapshot.interactions.of_conversation(
                conversation_id, after=after, limit=limit + 1, max_bytes=MAX_PAGE_BYTES
            )
            return conversation, rows

        conversation, rows = await self.store.read(query)
        # The row after the page is the one before its oldest in time.
        parent_of = parents([Node(row.id, row.parent_id) for row in rows])
        return Thread(conversation, page_of(rows, limit, position_of, Interaction.text_bytes), parent_of)
