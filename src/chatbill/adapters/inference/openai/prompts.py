"""Fit a conversation into the context window of a model on a server, whose own count of tokens is not known yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chatbill.adapters.inference.openai.counting import PromptSize, TokenCounter
from chatbill.adapters.inference.window import Window, fit_window
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ContextLengthExceeded


async def fitted(turns: Sequence[Turn], *, window: Window, counter: TokenCounter) -> PromptSize:
    """Return the newest turns that fit into the window by the best count there is.

    Raises `ContextLengthExceeded` for what does not fit. If the count is an estimate, its lower bound decides: the
    server can still refuse what was accepted here.
    """
    if counter.is_exact:
        # A tokenizer takes long for a long conversation.
        return (await asyncio.to_thread(fit_window, turns, encode=counter.prompt, window=window)).prompt
    try:
        return fit_window(turns, encode=counter.prompt, window=window).prompt
    except ContextLengthExceeded:
        needed = _last_message(turns, counter) if window.trim else counter.prompt(turns)
        if needed.least > window.prompt_tokens:
            raise window.exceeded() from None
        return needed


async def shortened(prompt: PromptSize, counter: TokenCounter) -> PromptSize | None:
    """Return the newest turns within half the tokens; None if only the last message is left.

    The last message is kept even if it alone takes more than half.
    """
    last = await asyncio.to_thread(_last_message, prompt.turns, counter)
    if len(last.turns) == len(prompt.turns):
        return None
    half = Window(limit=max(prompt.window // 2, last.window), least=0, most=0)
    return await fitted(prompt.turns, window=half, counter=counter)


def _last_message(turns: Sequence[Turn], counter: TokenCounter) -> PromptSize:
    """Return the size of the last message, together with the system message if there is one."""
    system = tuple(turn for turn in turns[:1] if turn.role is Role.SYSTEM)
    return counter.prompt((*system, turns[-1]))
