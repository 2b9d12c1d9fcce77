"""Keep interactions in memory. Each of them ends once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest, within
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.interactions import (
    MAX_REMEMBERED_BYTES,
    UNBOUNDED,
    HistoryFilter,
    InteractionFilter,
    OldText,
)
from chatbill.application.ports.repositories.paging import Period, Position, fitting, fitting_and_next
from chatbill.domain.chat.branches import Node
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import AlreadySettled
from chatbill.domain.shared.ids import (
    ConversationId,
    InteractionId,
    UserId,
)

_CHARGED = frozenset({Outcome.COMPLETED, Outcome.STOPPED})


class MemoryInteractions:
    """Keeps interactions and the requests to stop them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, interaction_id: InteractionId) -> Interaction | None:
        return self._tables.interactions.get(interaction_id)

    def turns(
        self, conversation_id: ConversationId, *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        rows = self.of_conversation(conversation_id, after=None, limit=len(self._rows(conversation_id)))
        return self._turns(rows, limit, max_bytes)

    def turns_of(
        self, newest_first: Sequence[InteractionId], *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        found = [row for each in newest_first if (row := self.get(each))]
        return self._turns(found, limit, max_bytes)

    def nodes(self, conversation_id: ConversationId, *, limit: int) -> list[Node]:
        rows = newest(self._rows(conversation_id), lambda row: (row.created_at, row.id), None)
        return [Node(row.id, row.parent_id) for row in rows[:limit]]

    def before(self, conversation_id: ConversationId, place: Position | None = None) -> InteractionId | None:
        rows = newest(self._rows(conversation_id), lambda row: (row.created_at, row.id), place)
        return rows[0].id if rows else None

    def _turns(self, rows: list[Interaction], limit: int, max_bytes: int) -> list[Turn]:
        answered = [row for row in rows if row.outcome in _CHARGED and row.reply]
        turns = []
        for row in reversed(list(fitting(answered[:limit], max_bytes, Interaction.text_bytes))):
            turns += [Turn(Role.USER, row.prompt), Turn(Role.ASSISTANT, row.reply)]
        return turns

    def count_replies(self, conversation_id: ConversationId) -> int:
        rows = self._rows(conversation_id)
        return sum(row.outcome in _CHARGED and row.usage.completion_tokens > 0 for row in rows)

    def spent_in(self, conversation_id: ConversationId) -> int:
        return sum(row.credits_charged for row in self._rows(conversation_id))

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        return any(row.is_running for row in self._rows(conversation_id))

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        return [interaction_id for interaction_id in among if self._tables.stops.get(interaction_id) is not None]

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        rows = newest(self._rows(conversation_id), lambda row: (row.created_at, row.id), after)
        return list(fitting_and_next(rows[:limit], max_bytes, Interaction.text_bytes))

    def history(
        self,
        user_id: UserId,
        filters: HistoryFilter,
        *,
        after: Position | None,
        limit: int,
        max_bytes: int = UNBOUNDED,
    ) -> list[Interaction]:
        needle = filters.text.casefold() if filters.text else None
        conversations = self._tables.conversations.rows()
        visible = {each.id for each in conversations if each.user_id == user_id and each.deleted_at is None}
        found = [
            row
            for row in self._tables.interactions.rows()
            if row.user_id == user_id
            and row.conversation_id in visible
            and filters.model in {None, row.model}
            and filters.outcome in {None, row.outcome}
            and within(row.created_at, filters.period)
            and (needle is None or needle in row.prompt.casefold() or needle in row.reply.casefold())
        ]
        rows = newest(found, lambda row: (row.created_at, row.id), after)
        return list(fitting_and_next(rows[:limit], max_bytes, Interaction.text_bytes))

    def newest(
        self, filters: InteractionFilter, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        needle = filters.text.casefold() if filters.text else None
        found = [
            row
            for row in self._tables.interactions.rows()
            if filters.user_id in {None, row.user_id}
            and filters.model in {None, row.model}
            and filters.outcome in {None, row.outcome}
            and (filters.period == Period() or (row.finished_at and within(row.finished_at, filters.period)))
            and (needle is None or needle in row.prompt.casefold() or needle in row.reply.casefold())
        ]
        rows = newest(found, lambda row: (row.created_at, row.id), after)
        return list(fitting_and_next(rows[:limit], max_bytes, Interaction.text_bytes))

    def add(self, interaction: Interaction) -> None:
        tables = self._tables
        require_row(tables.conversations.get, interaction.conversation_id, "conversation")
        require_row(tables.users.get, interaction.user_id, "user")
        require_row(tables.wallets.get, interaction.wallet_id, "wallet")
        require_row(tables.holds.get, interaction.hold_id, "hold")
        require_row(tables.api_keys.get, interaction.api_key_id, "API key")
        if interaction.parent_id != interaction.id:
            require_row(tables.interactions.get, interaction.parent_id, "interaction")
        tables.unique("interactions.hold_id", interaction.hold_id, interaction.id)
        tables.interactions.insert(interaction.id, interaction)

    def save(self, interaction: Interaction) -> None:
        stored = self._tables.interactions.get(interaction.id)
        if stored is None or not stored.is_running:
            raise AlreadySettled(f"interaction {interaction.id} is not running")
        kept = interaction if stored.prompt else replace(interaction, prompt="", reply="")
        self._tables.interactions.put(interaction.id, kept)
        self._tables.stops.remove(interaction.id)

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        stored = self._tables.interactions.get(interaction_id)
        if stored is not None and stored.is_running and self._tables.stops.get(interaction_id) is None:
            self._tables.stops.put(interaction_id, at)

    def ask_all_to_stop(self, user_id: UserId, *, at: datetime) -> None:
        for row in list(self._tables.interactions.rows()):
            if row.user_id == user_id:
                self.ask_to_stop(row.id, at=at)

    def erase_texts(self, conversation_id: ConversationId) -> None:
        for row in self._rows(conversation_id):
            self._tables.interactions.put(row.id, replace(row, prompt="", reply=""))

    def erase_texts_of(self, user_id: UserId) -> None:
        for row in list(self._tables.interactions.rows()):
            if row.user_id == user_id:
                self._tables.interactions.put(row.id, replace(row, prompt="", reply=""))

    def erase_texts_among(self, among: Sequence[InteractionId]) -> None:
        for row in [row for row in self._tables.interactions.rows() if row.id in among]:
            self._tables.interactions.put(row.id, replace(row, prompt="", reply=""))

    def texts(self, after: InteractionId | None, limit: int) -> list[OldText]:
        rows = sorted(self._tables.interactions.rows(), key=lambda row: row.id)
        return [
            OldText(
                id=row.id,
                conversation_id=row.conversation_id,
                created_at=row.created_at,
                is_there=not row.is_running and bool(row.prompt or row.reply),
            )
            for row in rows
            if after is None or row.id > after
        ][:limit]

    def _rows(self, conversation_id: ConversationId) -> list[Interaction]:
        return [row for row in self._tables.interactions.rows() if row.conversation_id == conversation_id]
