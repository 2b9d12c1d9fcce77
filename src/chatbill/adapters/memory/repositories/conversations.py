"""Conversations of a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.chat.conversations import Conversation
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId, UserId


class MemoryConversations:
    """Keeps conversations. A deleted one is never returned."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, conversation_id: ConversationId) -> Conversation | None:
        conversation = self._tables.conversations.get(conversation_id)
        return None if conversation is None or conversation.deleted_at else conversation

    lock = get

    def of_user(
        self,
        user_id: UserId,
        *,
        pinned: bool = False,
        text: str | None = None,
        after: Position | None,
        limit: int,
    ) -> list[Conversation]:
        rows = self._tables.conversations.rows()
        if text:
            rows = (row for row in rows if self._has(row, text.casefold()))
        listed = (row for row in rows if row.listed and row.deleted_at is None and row.pinned == pinned)
        mine = (row for row in listed if row.user_id == user_id)
        return newest(mine, lambda conversation: (conversation.updated_at, conversation.id), after)[:limit]

    def _has(self, conversation: Conversation, needle: str) -> bool:
        said = (row for row in self._tables.interactions.rows() if row.conversation_id == conversation.id)
        texts = [conversation.title, *(text for row in said for text in (row.prompt, row.reply))]
        return any(needle in text.casefold() for text in texts)

    def touch(self, conversation_id: ConversationId, user_id: UserId, *, at: datetime) -> None:
        conversation = self.get(conversation_id)
        if conversation is None or conversation.user_id != user_id:
            raise NotFound("conversation")
        conversation.touch(at=at)
        self._tables.conversations.put(conversation_id, conversation)

    def branch(self, conversation_id: ConversationId) -> None:
        if conversation := self.get(conversation_id):
            self._tables.conversations.put(conversation_id, replace(conversation, branched=True))

    def delete_all_of(self, user_id: UserId, *, title: str, at: datetime) -> None:
        for conversation in list(self._tables.conversations.rows()):
            if conversation.user_id == user_id and conversation.deleted_at is None:
                self._tables.conversations.put(conversation.id, replace(conversation, title=title, deleted_at=at))

    def add(self, conversation: Conversation) -> None:
        require_row(self._tables.users.get, conversation.user_id, "user")
        self._tables.conversations.insert(conversation.id, conversation)

    def save(self, conversation: Conversation) -> None:
        self._tables.conversations.replace(conversation.id, conversation)
