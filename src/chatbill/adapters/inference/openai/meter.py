"""Counting a reply while it comes, so that no more tokens are counted than were promised."""

from __future__ import annotations

from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.adapters.inference.pieces import PieceMaker
from chatbill.application.ports.engine import Piece


class ReplyMeter:
    """Makes pieces of the parts of a reply; ends it at a stop string even where the server does not.

    The last of `max_tokens` is kept for the end: whatever a server sends beyond what was counted comes with it, so
    the pieces never add up to more. A server that sends twice as many parts as it may write tokens is cut off.
    """

    def __init__(self, counter: TokenCounter, *, stop: tuple[str, ...], max_tokens: int) -> None:
        self._counter = counter
        self._pieces = PieceMaker(stop)
        self._max_tokens = max_tokens
        self._parts = 0
        self._counted = 0
        self._kept: list[str] = []
        self._text: list[str] = []

    @property
    def stopped(self) -> bool:
        """True once a stop string was written."""
        return self._pieces.stopped

    @property
    def ended(self) -> bool:
        """True when nothing that still comes belongs to the reply."""
        return self._pieces.stopped or self._parts > 2 * self._max_tokens + 16

    def push(self, text: str) -> Piece | None:
        """Add the next part of the reply."""
        self._parts += 1
        self._text.append(text)
        room = self._max_tokens - 1 - self._counted
        if room < 1:
            self._kept.append(text)
            return None
        tokens = min(self._counter.reply(text), room)
        self._counted += tokens
        return self._pieces.push(text, tokens=tokens)

    def finish(self, told: int | None) -> tuple[list[Piece], int | None]:
        """The rest of the reply, and its tokens as a whole if they are known better than from its pieces.

        `told` is what the server says they are.
        """
        whole = told
        if whole is None and self._counter.is_exact and not self._pieces.stopped and self._text:
            whole = self._counter.reply("".join(self._text))
        if whole is not None:
            whole = min(whole, self._max_tokens)
        missing = max(1 if self._kept else 0, (whole or 0) - self._counted)
        pieces = [self._pieces.push("".join(self._kept), tokens=missing)] if missing else []
        pieces.append(self._pieces.finish())
        return [piece for piece in pieces if piece], whole
