"""Fitting a conversation into the window of a model whose server alone counts tokens exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.window import fit_window
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import TooLarge


async def fitted(turns: Sequence[Turn], *, room: int, counter: TokenCounter) -> PromptSize:
    """Return the newest turns that fit into `room` tokens by the best count there is.

    Raises `TooLarge`; by an estimate only for a message that is too long by any count, because the server counts.
    """
    if counter.is_exact:
        # A tokenizer takes long for a long conversation.
        return await asyncio.to_thread(fit_window, turns, encode=counter.prompt, budget=room)
    try:
        return fit_window(turns, encode=counter.prompt, budget=room)
    except TooLarge:
        last = _last_message(turns, counter)
        if last.least > room:
            raise TooLarge.of("message", "prompt_far_too_long", max=room) from None
        return last


async def shortened(prompt: PromptSize, counter: TokenCounter) -> PromptSize | None:
    """Return the newest turns that take half the room, at least the last message; None where no turn can go."""
    last = _last_message(prompt.turns, counter)
    if len(last.turns) == len(prompt.turns):
        return None
    return await fitted(prompt.turns, room=max(prompt.window // 2, last.window), counter=counter)


def _last_message(turns: Sequence[Turn], counter: TokenCounter) -> PromptSize:
    """Return the size of the last message, after the turn of the system."""
    system = tuple(turn for turn in turns[:1] if turn.role is Role.SYSTEM)
    return counter.prompt((*system, turns[-1]))
