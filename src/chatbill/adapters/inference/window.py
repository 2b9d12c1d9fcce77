"""Fit a conversation into a context window by leaving out its oldest turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ContextLengthExceeded

Encoded = TypeVar("Encoded", bound=Sized)
"""An encoded prompt; its length is in tokens."""

_CHARS_OF_A_TOKEN = 6
"""Texts of more characters a token are unlikely, so a conversation with more is not tried whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of `limit` tokens, of which a reply takes `least` at least and `most` at most.

    Without `trim`, no turn may be left out.
    """

    limit: int
    least: int
    most: int
    trim: bool = True

    @classmethod
    def of(cls, request: GenerationRequest, *, limit: int, max_reply_tokens: int) -> Window:
        """Return the window for a request to a model that writes at most `max_reply_tokens`."""
        most = min(request.max_tokens, max_reply_tokens)
        least = most if request.least_tokens is None else min(request.least_tokens, most)
        return cls(limit=limit, least=least, most=most, trim=request.trim)

    @property
    def prompt_tokens(self) -> int:
        """Return how many tokens a prompt may have."""
        return self.limit - self.least

    def reply_tokens(self, prompt_tokens: int) -> int:
        """Return how many tokens a reply to a prompt of this length may have."""
        return max(self.least, min(self.most, self.limit - prompt_tokens))

    def exceeded(self, tokens: int | None = None) -> ContextLengthExceeded:
        """Return the error for a prompt that has `tokens` or more, where they were counted."""
        reply = None if tokens is None else self.least
        return ContextLengthExceeded(limit=self.limit, whole=not self.trim, tokens=tokens, reply=reply)


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Encoded]):
    """A prompt that fits, and how many of the oldest turns were left out of it."""

    prompt: Encoded
    dropped_turns: int


def fit_window(
    turns: Sequence[Turn], *, encode: Callable[[Sequence[Turn]], Encoded], window: Window
) -> Fitted[Encoded]:
    """Return the encoding of the newest turns that fit into the window.

    The turns that are kept begin with a message of the user, so that user and assistant still alternate. If the first
    of all turns is a system message, it is kept too. A conversation that may fit is tried whole. Otherwise the search
    begins at the newest message, so its cost depends on the window and not on the length of the conversation. Raises
    `ContextLengthExceeded` if the last message alone does not fit, or the conversation of which no turn may be left
    out.
    """
    system = tuple(turns[:1]) if turns[0].role is Role.SYSTEM else ()
    starts = [index for index, turn in enumerate(turns) if turn.role is Role.USER][::-1]

    def prompt(kept: int) -> Fitted[Encoded] | None:
        start = starts[kept - 1]
        encoded = encode((*system, *turns[start:]))
        if len(encoded) <= window.prompt_tokens:
            return Fitted(encoded, start - len(system))
        if not window.trim:
            raise window.exceeded(len(encoded))
        return None

    chars = sum(len(turn.text) for turn in turns)
    if chars <= _CHARS_OF_A_TOKEN * window.prompt_tokens and (whole := prompt(len(starts))):
        return whole
    best = prompt(1)
    if best is None:
        raise window.exceeded(len(encode((*system, *turns[starts[0] :]))))
    low, high = 1, len(starts) + 1
    step = 2
    while low + 1 < high:
        middle = min(step, high - 1) if high == len(starts) + 1 else (low + high) // 2
        step *= 2
        longer = prompt(middle)
        if longer is None:
            high = middle
        else:
            low, best = middle, longer
    return best
