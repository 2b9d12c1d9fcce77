"""Conversations, and the record of every request that was made in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from chatbill.domain.credits import Price, Usage
from chatbill.domain.errors import BrokenBooks, InvalidRequest, TooLarge
from chatbill.domain.ids import ApiKeyId, ConversationId, HoldId, InteractionId, ModelId, UserId, WalletId

MAX_TITLE_CHARS = 200
MADE_TITLE_CHARS = 60


MAX_TURNS = 1_000


class Role(StrEnum):
    """Who speaks in a turn. `SYSTEM` is whoever set the model up; that turn comes first, if there is one."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said in a conversation."""

    role: Role
    text: str


class Outcome(StrEnum):
    """How a request ended. `RUNNING` is how it stands before it ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A thread of messages that belongs to one person. Deleting it erases its texts, never its figures.

    One that is not `listed` is found by its id and in the history, not among a person's conversations.
    """

    id: ConversationId
    user_id: UserId
    title: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    listed: bool = True

    def rename(self, title: str, *, at: datetime) -> None:
        """Give it another title of 1 to 200 characters."""
        self.title = checked_title(title)
        self.updated_at = at

    def touch(self, *, at: datetime) -> None:
        """Note that something was said in it."""
        self.updated_at = max(self.updated_at, at)

    def delete(self, *, at: datetime) -> None:
        """Take it out of sight; the caller erases the texts of its interactions."""
        self.deleted_at = at


@dataclass(slots=True, kw_only=True)
class Interaction:
    """One request to a model: what was asked, what came back, what it cost, how it ended.

    `price` is frozen when the request is accepted, and `held` is the most it can cost, in credits.
    `processing_time_ms` runs from acceptance to the end. `error_code` is the stable word of the error that ended it,
    `error_detail` its words for the person. `balance_after` is what the wallet owned once the request was settled.
    `api_key_id` is the API key it came with, if it came with one.
    `cached` is True when the reply was written before and only given again.
    """

    id: InteractionId
    conversation_id: ConversationId
    user_id: UserId
    wallet_id: WalletId
    hold_id: HoldId
    model: ModelId
    price: Price
    held: int
    prompt: str
    created_at: datetime
    reply: str = ""
    outcome: Outcome = Outcome.RUNNING
    usage: Usage = Usage()
    credits_charged: int = 0
    balance_after: int | None = None
    processing_time_ms: int | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    error_detail: str | None = None
    api_key_id: ApiKeyId | None = None
    cached: bool = False

    @property
    def is_running(self) -> bool:
        """True until an outcome is recorded."""
        return self.outcome is Outcome.RUNNING

    def finish(
        self,
        outcome: Outcome,
        *,
        at: datetime,
        reply: str,
        usage: Usage,
        credits_charged: int,
        balance_after: int,
        error_code: str | None = None,
        error_detail: str | None = None,
    ) -> None:
        """Record the end, once."""
        if not self.is_running or outcome is Outcome.RUNNING:
            raise BrokenBooks(f"interaction {self.id} cannot go from {self.outcome} to {outcome}")
        self.outcome = outcome
        self.reply = storable(reply)
        self.usage = usage
        self.credits_charged = credits_charged
        self.balance_after = balance_after
        self.finished_at = at
        self.processing_time_ms = max(0, round((at - self.created_at).total_seconds() * 1_000))
        self.error_code = error_code
        self.error_detail = None if error_detail is None else storable(error_detail)


def due_for(price: Price, outcome: Outcome, usage: Usage) -> int:
    """Credits due for a request that ended so: its price, or nothing where nothing may be charged.

    A completed reply is charged; so is a stopped one, for the tokens delivered, once there was a first token.
    Every other end is free, whatever was delivered.
    """
    if outcome is Outcome.COMPLETED or (outcome is Outcome.STOPPED and usage.completion_tokens > 0):
        return price.of(usage)
    return 0


def storable(text: str) -> str:
    """The text without what no database keeps: NUL and lone surrogates become U+FFFD. An engine can write either."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")


def checked_title(title: str) -> str:
    """The title without outer blanks, if it is 1 to 200 characters long."""
    title = " ".join(title.split())
    if not title:
        raise InvalidRequest.of("title", "must not be empty")
    if len(title) > MAX_TITLE_CHARS:
        raise InvalidRequest.of("title", f"must be at most {MAX_TITLE_CHARS} characters")
    return title


def title_of(message: str) -> str:
    """A title for a conversation that begins with this message: its first line, at most 60 characters."""
    first = " ".join(message.split())
    return first if len(first) <= MADE_TITLE_CHARS else first[: MADE_TITLE_CHARS - 1].rstrip() + "…"


def checked_message(message: str, *, max_chars: int) -> str:
    """The message as it came, if it says something and is at most `max_chars` characters long."""
    if not message.strip():
        raise InvalidRequest.of("message", "must not be empty")
    return checked_text("message", message, max_chars=max_chars)


def in_turn(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """As models want a conversation: what the system says first, wherever it was said, then the others in turn.

    Neighbours of one role become one turn, with an empty line between them.
    """
    turns = tuple(turns)
    ordered = sorted(turns, key=lambda turn: turn.role is not Role.SYSTEM)  # the others stay in their order
    return tuple(
        Turn(role, "\n\n".join(turn.text for turn in neighbours))
        for role, neighbours in groupby(ordered, key=lambda turn: turn.role)
    )


def checked_history(turns: tuple[Turn, ...], *, max_chars: int) -> tuple[Turn, ...]:
    """What was said before, if it is a conversation that models can go on with.

    At most 1,000 turns of at most `max_chars` characters each, in any order (see `in_turn`) but for one thing: whoever
    speaks first beside the system is the person. Chat templates such as Gemma's take no other conversation.
    """
    if len(turns) > MAX_TURNS:
        raise TooLarge.of("history", f"must be at most {MAX_TURNS} turns, this has {len(turns)}")
    first = next((turn for turn in turns if turn.role is not Role.SYSTEM), None)
    if first and first.role is not Role.USER:
        raise InvalidRequest.of("history", "must begin with a message of the user, after those of the system")
    for place, turn in enumerate(turns):
        checked_text(f"history.{place}", turn.text, max_chars=max_chars)
    return turns


def checked_text(field: str, text: str, *, max_chars: int) -> str:
    """The text as it came, if it is text and at most `max_chars` characters long."""
    if "\x00" in text:
        raise InvalidRequest.of(field, "must not contain the NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest.of(field, "must be valid Unicode, without lone surrogates")
    if len(text) > max_chars:
        raise TooLarge.of(field, f"must be at most {max_chars} characters, this has {len(text)}")
    return text
