"""The engine port: whatever turns a conversation into the next reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId, UserId

GREEDY_BELOW = 1e-5
"""Temperatures below are greedy: they pick the likeliest token all the same, and scores divided by them overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What to write and within which bounds.

    `turns` alternate between the person and the model, oldest first, and end with the person's message. Before them
    can stand one turn of the system, which says what the model shall be.
    `max_tokens` (at least 1) bounds the reply. `temperature` 0, as all below `GREEDY_BELOW`, means greedy; None
    means the model's own default.
    `owner` is whose request it is: an answer that is kept is given again to them alone, or to nobody where it is None.
    """

    model: ModelId
    turns: tuple[Turn, ...]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    owner: UserId | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of a reply: text, and the number of tokens that made it (at least 1).

    Text can be empty where a token completes no character, and one piece can carry several tokens. A piece without
    text and tokens, `THINKING`, is no part of the reply: it says that the model writes what nobody is shown.
    """

    text: str
    tokens: int


THINKING = Chunk("", 0)
"""Comes before the reply, once at most: from then on nobody waits for a first token, only for the whole reply."""


class Generation(Protocol):
    """A place in the queue of one model, and the reply that will be written in it."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt that will be read, after trimming to the window; known before anything is written.

        At first this is the most it can be, since the hold is made of it. An engine that only learns the count from
        its server says another number once it knows, never a larger one than at first; the last one is charged.
        """
        ...

    @property
    def completion_tokens(self) -> int | None:
        """Tokens of the whole reply where the engine was told them, once it is whole; else None, and the pieces count.

        Never more than `max_tokens`.
        """
        ...

    @property
    def cut_off(self) -> bool | None:
        """Whether the reply ended for want of tokens and not by itself; known at its end.

        None where nobody can tell: then it did if it has as many tokens as it may have.
        """
        ...

    @property
    def cached(self) -> bool:
        """True when nothing will be computed, because this reply was written before. Known before anything is said."""
        ...

    def stream(self) -> AsyncIterator[Chunk]:
        """Write the reply; call it once.

        Ends when the model is done or `max_tokens` are written. Raises `GenerationFailed` (`OutOfMemory` among
        them) when the engine breaks, after any number of pieces; before the first one also what only a server could
        tell: `ModelUnavailable`, or `TooLarge` for a prompt that was not foreseen to be too long.
        """
        ...

    async def close(self) -> None:
        """Give the place back; stop computing within two tokens if it still runs. Safe to call again."""
        ...


class ModelState(StrEnum):
    """Where a model stands. One that rests is not in memory, and a message brings it there."""

    LOADING = "loading"
    READY = "ready"
    RESTING = "resting"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """Whether a model can answer now; `reason` says why not (None when it can).

    `running` replies are being written and `queued` ones wait; both are numbers of requests. `healthy` is False while
    a model that is offered has not lately been seen to write a token, and while one that broke cannot be had again. A
    model that was never offered, for want of memory or of files, is not unhealthy.
    """

    state: ModelState
    reason: Description | None = None
    running: int = 0
    queued: int = 0
    healthy: bool = True

    @property
    def available(self) -> bool:
        """True when a message would be taken now."""
        return self.state in {ModelState.READY, ModelState.RESTING}


class Engine(Protocol):
    """Models that answer. One engine serves every model of the catalogue."""

    @property
    def name(self) -> str:
        """A short word for logs and the status page, such as "transformers"."""
        ...

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """How each model stands now. Returns at once."""
        ...

    async def start(self) -> None:
        """Make the models ready. Returns when each is ready or known to be unavailable; never raises for one model."""
        ...

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take a place in the queue and fit the conversation into the window, oldest turns left out first.

        Nothing is computed yet but the token count. Raises `ModelUnavailable`, `Overloaded` when the queue is full,
        and `TooLarge` when the last message alone does not fit.
        """
        ...

    async def close(self) -> None:
        """Stop all generations and give all memory back. Safe to call again."""
        ...
