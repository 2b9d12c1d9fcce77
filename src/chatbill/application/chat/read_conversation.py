"""Read a conversation: its title and its messages."""

from __future__ import annotations

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
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation and a page of its interactions, newest first."""

    conversation: Conversation
    page: Page[Interaction]


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
        return Thread(conversation, page_of(rows, limit, position_of, Interaction.text_bytes))
