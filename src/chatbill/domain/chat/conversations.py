"""Conversations: turns of people and models, and the rules for their texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from chatbill.domain.shared.errors import InvalidRequest, TooLarge
from chatbill.domain.shared.ids import ConversationId, UserId

MAX_TITLE_CHARS = 200
MADE_TITLE_CHARS = 60
MAX_TURNS = 1_000
MAX_TOKEN_CHARS = 128
"""The longest tokens of vocabularies have about as many characters, such as spaces."""
TEMPORARY_TITLE = "Temporary"


class Role(StrEnum):
    """The author of a turn. A turn of `SYSTEM` holds instructions to the model and comes first."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """One text in a conversation, with the role of its author."""

    role: Role
    text: str


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A thread of messages that belongs to one user. Deleting it erases its texts and keeps its amounts.

    One that is not `listed` is found by its id and in the history, not in the list of the user's conversations.
    One that is `branched` has interactions that do not follow the one before them in time. One that is `pinned` comes
    before all others in the list.
    """

    id: ConversationId
    user_id: UserId
    title: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    listed: bool = True
    branched: bool = False
    pinned: bool = False

    def rename(self, title: str, *, at: datetime) -> None:
        """Give it another title of 1 to 200 characters."""
        self.title = checked_title(title)
        self.updated_at = at

    def touch(self, *, at: datetime) -> None:
        """Record the time of a new message."""
        self.updated_at = max(self.updated_at, at)

    def delete(self, *, at: datetime) -> None:
        """Mark it deleted; the caller erases the texts of its interactions."""
        self.deleted_at = at


def checked_title(title: str) -> str:
    """Return the title without outer blanks if it is 1 to 200 characters long; else raise `InvalidRequest`."""
    title = " ".join(title.split())
    if not title:
        raise InvalidRequest.of("title", "empty")
    if len(title) > MAX_TITLE_CHARS:
        raise InvalidRequest.of("title", "too_long", max=MAX_TITLE_CHARS)
    return title


def title_of(message: str) -> str:
    """Return a title for a conversation that begins with this message: its text on one line, at most 60 characters."""
    first = " ".join(message.split())
    return first if len(first) <= MADE_TITLE_CHARS else first[: MADE_TITLE_CHARS - 1].rstrip() + "…"


def checked_message(message: str, *, max_chars: int) -> str:
    """Return the message unchanged if it is not blank and at most `max_chars` characters long; else raise."""
    if not message.strip():
        raise InvalidRequest.of("message", "empty")
    return checked_text("message", message, max_chars=max_chars)


def merged_turns(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Return the turns as chat templates take them: those of the system first, then the others in their order.

    Neighbours of one role become one turn, with an empty line between them.
    """
    turns = tuple(turns)
    ordered = sorted(turns, key=lambda turn: turn.role is not Role.SYSTEM)  # the others stay in their order
    return tuple(
        Turn(role, "\n\n".join(turn.text for turn in neighbours))
        for role, neighbours in groupby(ordered, key=lambda turn: turn.role)
    )


def checked_history(turns: tuple[Turn, ...], *, max_chars: int, max_reply_tokens: int) -> tuple[Turn, ...]:
    """Return the earlier turns if they are a conversation that models can continue; else raise `InvalidRequest`.

    At most 1,000 turns of at most `max_chars` characters each, in any order (see `merged_turns`), except that the first
    turn after those of the system is the user's. Chat templates such as Gemma's take no other conversation. A turn of
    the assistant may be as long as a reply of at most `max_reply_tokens` tokens, which can be longer than a message.
    """
    if len(turns) > MAX_TURNS:
        raise TooLarge.of("history", "too_many_turns", max=MAX_TURNS, count=len(turns))
    first = next((turn for turn in turns if turn.role is not Role.SYSTEM), None)
    if first and first.role is not Role.USER:
        raise InvalidRequest.of("history", "history_not_begun_by_user")
    for place, turn in enumerate(turns):
        most = max(max_chars, max_reply_tokens * MAX_TOKEN_CHARS) if turn.role is Role.ASSISTANT else max_chars
        checked_text(f"history.{place}", turn.text, max_chars=most)
    return turns


def checked_text(field: str, text: str, *, max_chars: int) -> str:
    """Return the text unchanged if it can be stored and is at most `max_chars` characters long; else raise."""
    if "\x00" in text:
        raise InvalidRequest.of(field, "nul_character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest.of(field, "lone_surrogates")
    if len(text) > max_chars:
        raise TooLarge.of(field, "too_long", max=max_chars, length=len(text))
    return text
