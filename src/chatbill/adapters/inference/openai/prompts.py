"""Fit a conversation into the context window of a model on a server, whose own count of tokens is not known yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.window import fit_window
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import TooLarge


async def fitted(turns: Sequence[Turn], *, budget: int, counter: TokenCounter) -> PromptSize:
    """Return the newest turns that fit into `budget` tokens, as `counter` counts or estimates them.

    Raises `TooLarge` if the last message alone does not fit. If the count is an estimate, its lower bound decides:
    the server can still refuse a message that was accepted here.
    """
    if counter.is_exact:
        # A tokenizer takes long for a long conversation.
        return await asyncio.to_thread(fit_window, turns, encode=counter.prompt, budget=budget)
    try:
        return fit_window(turns, encode=counter.prompt, budget=budget)
    except TooLarge:
        last = _last_message(turns, counter)
        if last.least > budget:
            raise TooLarge.of("message", "prompt_far_too_long", max=budget) from None
        return last


async def shortened(prompt: PromptSize, counter: TokenCounter) -> PromptSize | None:
    """Return the newest turns within half the tokens; None if only the last message is left.

    The last message is kept even if it alone takes more than half.
    """
    last = _last_message(prompt.turns, counter)
    if len(last.turns) == len(prompt.turns):
        return None
    return await fitted(prompt.turns, budget=max(prompt.window // 2, last.window), counter=counter)


def _last_message(turns: Sequence[Turn], counter: TokenCounter) -> PromptSize:
    """Return the size of the last message, together with the system message if there is one."""
    system = tuple(turn for turn in turns[:1] if turn.role is Role.SYSTEM)
    return counter.prompt((*system, turns[-1]))
