"""Fit a conversation into a context window by leaving out its oldest turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import TooLarge

Encoded = TypeVar("Encoded", bound=Sized)
"""An encoded prompt; its length is in tokens."""


def fit_window(turns: Sequence[Turn], *, encode: Callable[[Sequence[Turn]], Encoded], budget: int) -> Encoded:
    """Return the encoding of the newest turns that take at most `budget` tokens.

    The turns that are kept begin with a message of the user, so that user and assistant still alternate. If the first
    of all turns is a system message, it is kept too. The search begins at the newest message, so its cost depends on
    `budget` and not on the length of the conversation. Raises `TooLarge` if the last message alone is over the budget.
    """
    system = tuple(turns[:1]) if turns[0].role is Role.SYSTEM else ()
    starts = [index for index, turn in enumerate(turns) if turn.role is Role.USER][::-1]

    def prompt(kept: int) -> Encoded | None:
        encoded = encode((*system, *turns[starts[kept - 1] :]))
        return encoded if len(encoded) <= budget else None

    best = prompt(1)
    if best is None:
        size = len(encode((*system, *turns[starts[0] :])))
        raise TooLarge.of("message", "prompt_too_long", tokens=size, max=max(0, budget))
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
