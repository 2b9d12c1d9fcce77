"""Forget texts: blank prompts and replies that are old; their figures stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbill.application.chat.delete_conversation import ERASED_TITLE
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.repositories.interactions import OldText
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.chat.conversations import title_of
from chatbill.domain.shared.ids import ConversationId, InteractionId

BATCH = 500


@dataclass(kw_only=True)
class ForgetTexts:
    """Blank the texts of interactions older than `kept_days` (at least 2), and the titles of such conversations.

    A conversation that goes on keeps a title that a person has given it, but not one that is the text of a message.

    Interactions are looked through in the order of their ids, which is that of time, on a snapshot that delays no
    charge. A process continues where it stopped, so that each time it looks at what has become old since the last one.
    No reply is written for 2 days, so none is passed over.
    """

    store: Store
    clock: Clock
    kept_days: int
    _position: InteractionId | None = field(default=None, init=False)

    async def __call__(self) -> int:
        """Return how many interactions were blanked."""
        before, forgotten = self.clock() - timedelta(days=self.kept_days), 0
        position = self._position
        while True:
            after = position
            page = await self.store.read(lambda snapshot, after=after: snapshot.interactions.texts(after, BATCH))  # type: ignore[misc]
            old = [text for text in page if text.created_at < before]
            due = [text for text in old if text.is_there]
            if due:
                await self.store.write(lambda tx, due=due: _erase(tx, due, before))  # type: ignore[misc]
                forgotten += len(due)
            if old:
                self._position = position = old[-1].id
            if len(old) < BATCH:
                return forgotten


def _erase(tx: Transaction, texts: list[OldText], before: datetime) -> None:
    by_conversation: dict[ConversationId, list[InteractionId]] = {}
    for text in texts:
        by_conversation.setdefault(text.conversation_id, []).append(text.id)
    for conversation_id, ids in by_conversation.items():
        conversation = tx.conversations.lock(conversation_id)
        if conversation and conversation.title != ERASED_TITLE:
            prompts = (found.prompt for id_ in ids if (found := tx.interactions.get(id_)))
            if conversation.updated_at < before or conversation.title in map(title_of, prompts):
                conversation.title = ERASED_TITLE  # not `rename`, which would make it a new one
                tx.conversations.save(conversation)
    tx.interactions.erase_texts_among([text.id for text in texts])
