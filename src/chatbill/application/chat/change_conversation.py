"""Change a conversation: give it another title, or pin it."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.conversations import Conversation, checked_title
from chatbill.domain.shared.errors import InvalidRequest, NotFound
from chatbill.domain.shared.ids import ConversationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeConversation:
    """Change a conversation. Raises `NotFound` for another account's, and `InvalidRequest`."""

    store: Store
    clock: Clock

    async def __call__(
        self,
        principal: Principal,
        conversation_id: ConversationId,
        *,
        title: str | None = None,
        pinned: bool | None = None,
    ) -> Conversation:
        """Return the conversation with its new title, pinned or not. What is None stays."""
        if title is None and pinned is None:
            raise InvalidRequest.of("title", "empty")
        if title is not None:
            checked_title(title)
        now = self.clock()

        def work(tx: Transaction) -> Conversation:
            conversation = tx.conversations.lock(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            if title is not None:
                conversation.rename(title, at=now)
            if pinned is not None:
                conversation.pinned = pinned
            tx.conversations.save(conversation)
            return conversation

        return await self.store.write(work)
