"""The repository of conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.shared.ids import (
    ConversationId,
    UserId,
)


class ConversationReader(Protocol):
    def get(self, conversation_id: ConversationId) -> Conversation | None:
        """Return the conversation, unless it was deleted."""
        ...

    def of_user(
        self,
        user_id: UserId,
        *,
        pinned: bool = False,
        text: str | None = None,
        after: Position | None,
        limit: int,
    ) -> list[Conversation]:
        """Return conversations that were not deleted, the one updated last first, past the position `after`.

        They are the pinned ones, or the others. With a `text`, only those that have it in their title, in a message or
        in a reply, in any letter case.
        """
        ...


class ConversationRepository(ConversationReader, Protocol):
    def lock(self, conversation_id: ConversationId) -> Conversation | None:
        """Return the same as `get`, and prevent changes by other transactions until this one ends."""
        ...

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        """Record that this person sent a message in it. Raises `NotFound` if it was deleted or is another user's."""
        ...

    def branch(self, conversation_id: ConversationId) -> None:
        """Record that it has branches."""
        ...

    def delete_all_of(self, user_id: UserId, *, title: str, at: datetime) -> None:
        """Mark all conversations of a user deleted, with another title. Those deleted before stay as they are."""
        ...

    def add(self, conversation: Conversation) -> None: ...
    def save(self, conversation: Conversation) -> None: ...
