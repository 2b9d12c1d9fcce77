"""The engine port: it turns a conversation into the next reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId, UserId

GREEDY_BELOW = 1e-5
"""Temperatures below are greedy: they pick the likeliest token as well, and scores divided by them overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A conversation, and the limits and settings of the reply to it.

    `turns` alternate between the user and the model, oldest first, and end with the user's message. One turn of the
    system, with instructions for the model, may precede them.
    `max_tokens` (at least 1) limits the reply; at least `least_tokens` of the window are kept for it (None: as many).
    With `trim`, the oldest turns of a conversation that does not fit beside them are left out; without it such a
    conversation is refused. A `temperature` below `GREEDY_BELOW`, such as 0, means greedy; None
    means the model's own default.
    `owner` is the user whose request it is: a cached reply is returned to its owner alone, and never where it is None.
    The reply to a `temporary` message is not cached.
    """

    model: ModelId
    turns: tuple[Turn, ...]
    max_tokens: int
    least_tokens: int | None = None
    trim: bool = True
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    owner: UserId | None = None
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of a reply: text, and its number of tokens (at least 1).

    The text can be empty where a token completes no character, and one chunk can hold several tokens. A chunk without
    text and tokens, `THINKING`, is no part of the reply: it says that the model writes text that is not shown.
    """

    text: str
    tokens: int


THINKING = Chunk("", 0)
"""Sent at most once, before the reply: it ends the wait for a first token, and the wait for the whole reply goes on."""


class Generation(Protocol):
    """A place in the queue of one model, and the reply that will be written there."""

    @property
    def prompt_tokens(self) -> int:
        """Return the tokens of the prompt, trimmed to the window; known before anything is written.

        At first this is the largest possible count, because the hold is made of it. An engine that learns the count
        from its server returns that later, never more than at first; the last value is charged.
        """
        ...

    @property
    def completion_tokens(self) -> int | None:
        """Return the tokens of the complete reply if the engine learned them; None if the chunks must be counted.

        Never more than `max_tokens`.
        """
        ...

    @property
    def cut_off(self) -> bool | None:
        """Return whether the limit of tokens ended the reply; known at its end.

        None where that is unknown: then it did if the reply has as many tokens as are allowed.
        """
        ...

    @property
    def filtered(self) -> bool:
        """Return whether a content filter ended the reply; known at its end."""
        ...

    @property
    def dropped_turns(self) -> int:
        """Return how many of the oldest turns were left out of the prompt; the value at the end is the last one."""
        ...

    @property
    def cached(self) -> bool:
        """True when the reply comes from a cache and is not computed. Known before the first chunk."""
        ...

    def stream(self) -> AsyncIterator[Chunk]:
        """Write the reply; call it once.

        Ends when the model is done or `max_tokens` are written. Raises `GenerationFailed` (such as `OutOfMemory`) when
        the engine fails, after any number of chunks; before the first one also `ModelUnavailable`, or
        `ContextLengthExceeded` for a prompt that only a server found too long.
        """
        ...

    async def close(self) -> None:
        """Give the place back; stop computing within two tokens if it still runs. Safe to call again."""
        ...


class ModelState(StrEnum):
    """The state of a model. A resting one is not in memory, and the next message loads it."""

    LOADING = "loading"
    READY = "ready"
    RESTING = "resting"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """The state of a model; `reason` says why it cannot answer (None when it can).

    `running` replies are being written and `queued` ones wait; both are numbers of requests. `at_once` is the most
    that are written together, and `memory_bytes` what the model takes; 0 is unknown. `healthy` is False while
    a model that is offered has not written a token for too long, and while one that broke cannot be loaded again. A
    model that was never offered, for lack of memory or of files, is not unhealthy.
    """

    state: ModelState
    reason: Description | None = None
    running: int = 0
    queued: int = 0
    healthy: bool = True
    at_once: int = 0
    memory_bytes: int = 0

    @property
    def available(self) -> bool:
        """True when a message would be accepted now."""
        return self.state in {ModelState.READY, ModelState.RESTING}


class Engine(Protocol):
    """Runs or reaches the models of the catalogue, all of them through one engine."""

    @property
    def name(self) -> str:
        """Return a short word for logs and the status page, such as "transformers"."""
        ...

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the present status of each model, at once."""
        ...

    async def start(self) -> None:
        """Make the models ready; return when each is ready or known to be unavailable. Never raises for one model."""
        ...

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take a place in the queue and fit the conversation into the window; see the request.

        Only the tokens of the prompt are counted yet. Raises `ModelUnavailable`, `Overloaded` when the queue is full,
        and `ContextLengthExceeded` when the last message alone does not fit, or, without `trim`, the conversation.
        """
        ...

    async def close(self) -> None:
        """Stop all generations and free all memory. Safe to call again."""
        ...


@runtime_checkable
class FreesMemory(Protocol):
    """An engine whose models take memory that they can give up."""

    async def free_memory(self) -> None:
        """Give up what was read of conversations, and unload models without requests; their next message loads them."""
        ...
