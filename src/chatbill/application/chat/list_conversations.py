"""List the conversations of a user: the pinned ones, then the others; the one used last first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chatbill.application.ports.store import Snapshot, Store
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

PINNED = "pinned."
"""The beginning of cursors that stand for a place among the pinned conversations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConversations:
    """List the principal's conversations in pages. Raises `InvalidRequest` for a bad limit or cursor."""

    store: Store

    async def __call__(
        self, principal: Principal, *, text: str | None = None, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[Conversation]:
        """Return one page of conversations; with a `text`, of those that have it in their title or a message."""
        limit = checked_limit(limit)
        in_pinned = cursor is None or cursor.startswith(PINNED)
        after = decode_position(cursor.removeprefix(PINNED) if cursor else None)

        def query(snapshot: Snapshot) -> list[Conversation]:
            found = partial(snapshot.conversations.of_user, principal.user_id, text=text)
            if not in_pinned:
                return found(pinned=False, after=after, limit=limit + 1)
            first = found(pinned=True, after=after, limit=limit + 1)
            rest = limit + 1 - len(first)
            return [*first, *found(pinned=False, after=None, limit=rest)] if rest else first

        return page_of(await self.store.read(query), limit, _cursor_of)


def _cursor_of(conversation: Conversation) -> str:
    position = encode_position(conversation.updated_at, conversation.id)
    return f"{PINNED}{position}" if conversation.pinned else position
