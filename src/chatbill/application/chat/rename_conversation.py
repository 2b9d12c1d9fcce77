"""Rename a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.conversations import Conversation, checked_title
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ConversationId


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameConversation:
    """Give a conversation another title. Raises `NotFound` for another account's, and `InvalidRequest`."""

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, conversation_id: ConversationId, title: str) -> Conversation:
        """Return the conversation with its new title."""
        checked_title(title)
        now = self.clock()

        def work(tx: Transaction) -> Conversation:
            conversation = tx.conversations.lock(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            conversation.rename(title, at=now)
            tx.conversations.save(conversation)
            return conversation

        return await self.store.write(work)
