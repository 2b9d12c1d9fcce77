"""Delete a conversation: its texts are erased for good, its amounts stay in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import Conflict, NotFound
from chatbill.domain.shared.ids import ConversationId

ERASED_TITLE = "Deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteConversation:
    """Erase a conversation. Raises `NotFound` for another account's, and `Conflict` while a reply is being written."""

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, conversation_id: ConversationId) -> None:
        """Erase prompts, replies and the title."""
        now = self.clock()

        def work(tx: Transaction) -> None:
            conversation = tx.conversations.lock(conversation_id)
            if conversation is None or conversation.user_id != principal.user_id:
                raise NotFound("conversation")
            if tx.interactions.is_running_in(conversation_id):
                raise Conflict("reply_being_written")
            conversation.rename(ERASED_TITLE, at=now)
            conversation.delete(at=now)
            tx.conversations.save(conversation)
            tx.interactions.erase_texts(conversation_id)

        await self.store.write(work)
