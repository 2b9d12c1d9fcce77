"""List the conversations of a user, the one used last first."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.conversations import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConversations:
    """List the principal's conversations in pages. Raises `InvalidRequest` for a bad limit or cursor."""

    store: Store

    async def __call__(
        self, principal: Principal, *, text: str | None = None, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[Conversation]:
        """Return one page of conversations; with a `text`, of those that have it in their title or a message."""
        limit, after = checked_limit(limit), decode_position(cursor)
        rows = await self.store.read(
            lambda snapshot: snapshot.conversations.of_user(principal.user_id, text=text, after=after, limit=limit + 1)
        )
        return page_of(rows, limit, lambda conversation: encode_position(conversation.updated_at, conversation.id))
