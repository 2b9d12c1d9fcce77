"""The repository of interactions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.chat.branches import Node
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.ids import (
    ConversationId,
    InteractionId,
    ModelId,
    UserId,
)

UNBOUNDED: Final = sys.maxsize
MAX_REMEMBERED_BYTES: Final = 1_048_576
"""More than fits into the window of the models that are offered; the engine trims what does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Selects the interactions of a list. `text` is looked for in prompt and reply, in any letter case."""

    model: ModelId | None = None
    outcome: Outcome | None = None
    period: Period = Period()
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionFilter:
    """Selects interactions of all users; what is None selects all.

    `period` is the one in which they ended, as in reports: with it, running ones are left out. `text` is looked for in
    prompt and reply, in any letter case.
    """

    user_id: UserId | None = None
    model: ModelId | None = None
    outcome: Outcome | None = None
    period: Period = Period()
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldText:
    """An interaction that may have texts; `is_there` is False once they are blank, and while the reply is written."""

    id: InteractionId
    conversation_id: ConversationId
    created_at: datetime
    is_there: bool


class InteractionReader(Protocol):
    def texts(self, after: InteractionId | None, limit: int) -> list[OldText]:
        """Return interactions past this one, in the order of their ids."""
        ...

    def get(self, interaction_id: InteractionId) -> Interaction | None: ...

    def turns(
        self, conversation_id: ConversationId, *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        """Return prompt and reply of the last `limit` interactions that have a reply, oldest first.

        Together they have at most `max_bytes`, or there is one. Only completed and stopped ones count, and only those
        with a reply that is not empty.
        """
        ...

    def turns_of(
        self, newest_first: Sequence[InteractionId], *, limit: int, max_bytes: int = MAX_REMEMBERED_BYTES
    ) -> list[Turn]:
        """Return the same of the last `limit` of these interactions, oldest first."""
        ...

    def nodes(self, conversation_id: ConversationId, *, limit: int) -> list[Node]:
        """Return the last `limit` interactions of a conversation with what they follow, newest first."""
        ...

    def before(self, conversation_id: ConversationId, place: Position | None = None) -> InteractionId | None:
        """Return the newest interaction of a conversation, or the newest before this place; None without one."""
        ...

    def count_replies(self, conversation_id: ConversationId) -> int:
        """Return how many interactions of a conversation were completed or stopped with at least one token."""
        ...

    def spent_in(self, conversation_id: ConversationId) -> int:
        """Return what the replies of a conversation cost together, in credits."""
        ...

    def is_running_in(self, conversation_id: ConversationId) -> bool:
        """Return whether a reply is being written in this conversation."""
        ...

    def asked_to_stop(self, among: Sequence[InteractionId]) -> list[InteractionId]:
        """Return those of these interactions that are still running and were asked to stop, in any order."""
        ...

    def of_conversation(
        self, conversation_id: ConversationId, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        """Return interactions of a conversation, newest first, past the position `after`.

        Where their texts have more than `max_bytes`, the list ends with the first one that does not fit.
        """
        ...

    def history(
        self,
        user_id: UserId,
        filters: HistoryFilter,
        *,
        after: Position | None,
        limit: int,
        max_bytes: int = UNBOUNDED,
    ) -> list[Interaction]:
        """Return a user's interactions in conversations that were not deleted, newest first, past `after`.

        They end as those of a conversation do.
        """
        ...

    def newest(
        self, filters: InteractionFilter, *, after: Position | None, limit: int, max_bytes: int = UNBOUNDED
    ) -> list[Interaction]:
        """Return interactions of all users that are selected, newest first, past `after`. They end as above."""
        ...


class InteractionRepository(InteractionReader, Protocol):
    def add(self, interaction: Interaction) -> None: ...

    def save(self, interaction: Interaction) -> None:
        """Keep how a running interaction ended, without its reply if the texts were erased meanwhile.

        Raises `AlreadySettled` unless the stored one is still running.
        """
        ...

    def ask_to_stop(self, interaction_id: InteractionId, *, at: datetime) -> None:
        """Request that the process that writes this reply stops it.

        Nothing happens where that was asked before, or where the interaction is not running.
        """
        ...

    def ask_all_to_stop(self, user_id: UserId, *, at: datetime) -> None:
        """Do the same as `ask_to_stop`, for all running replies of a user."""
        ...

    def erase_texts(self, conversation_id: ConversationId) -> None:
        """Blank prompts and replies of a conversation for ever; the figures stay."""
        ...

    def erase_texts_of(self, user_id: UserId) -> None:
        """Do the same as `erase_texts`, for all interactions of a user, also those that are running."""
        ...

    def erase_texts_among(self, among: Sequence[InteractionId]) -> None:
        """Blank prompt and reply of these interactions for ever; the figures stay."""
        ...
