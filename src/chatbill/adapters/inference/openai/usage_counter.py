"""Counting a reply while it comes, so that no more tokens are counted than were promised."""

from __future__ import annotations

from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.adapters.inference.openai.errors import Kind, ServerError
from chatbill.application.ports.engine import Chunk
from chatbill.domain.chat.interactions import storable

_CHARS_A_TOKEN, _CHARS_MORE = 256, 4_096
"""Twice the longest tokens of large vocabularies, which are runs of 128 blanks."""


class Characters:
    """Joins characters whose two halves came in two parts: servers in JavaScript may cut text anywhere in UTF-16.

    A half that stays alone becomes U+FFFD, as does NUL: neither can be stored, and the first not even be sent.
    """

    def __init__(self) -> None:
        self._half = ""

    @property
    def is_waiting(self) -> bool:
        """True while the second half of a character is to come."""
        return bool(self._half)

    def push(self, text: str) -> str:
        """What is whole of the reply once `text` was added."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return storable(text)

    def finish(self) -> str:
        """What is left when nothing follows."""
        rest, self._half = storable(self._half), ""
        return rest


class UsageCounter:
    """Makes pieces of the parts of a reply; ends it at a stop string even where the server does not.

    The last of `max_tokens` is kept for the end: whatever a server sends beyond what was counted comes with it, so
    the pieces never add up to more. A server that sends twice as many parts as it may write tokens is cut off; one
    whose text is longer than so many tokens can be has no idea of tokens, and its reply breaks.
    """

    def __init__(self, counter: TokenCounter, *, stop: tuple[str, ...], max_tokens: int) -> None:
        self._counter = counter
        self._characters = Characters()
        self._pieces = ChunkBuilder(stop)
        self._max_tokens = max_tokens
        self._parts = 0
        self._room = _CHARS_A_TOKEN * max_tokens + _CHARS_MORE
        self._counted = 0
        self._kept: list[str] = []
        self._text: list[str] = []

    @property
    def stopped(self) -> bool:
        """True once a stop string was written."""
        return self._pieces.stopped

    @property
    def has_text(self) -> bool:
        """True once anything came that a model wrote."""
        return bool(self._parts)

    @property
    def ended(self) -> bool:
        """True when nothing that still comes belongs to the reply."""
        return self._pieces.stopped or self._parts > 2 * self._max_tokens + 16

    def push(self, text: str) -> Chunk | None:
        """Add the next part of the reply. Raises `ServerError` when it is longer than it can be."""
        self._parts += 1
        self._room -= len(text)
        if self._room < 0:
            raise ServerError(Kind.BROKEN, f"more characters than {self._max_tokens} tokens can have")
        text = self._characters.push(text)
        self._text.append(text)
        room = self._max_tokens - 1 - self._counted
        if room < 1:
            self._kept.append(text)
            return None
        tokens = min(self._counter.reply(text), room)
        self._counted += tokens
        return self._pieces.push(text, tokens=tokens, incomplete=self._characters.is_waiting)

    def finish(self, told: int | None) -> tuple[list[Chunk], int | None]:
        """The rest of the reply, and its tokens as a whole if they are known better than from its pieces.

        `told` is what the server says they are.
        """
        whole = told
        if whole is None and self._counter.is_exact and not self._pieces.stopped and self._text:
            whole = self._counter.reply("".join(self._text))
        if whole is not None:
            whole = min(whole, self._max_tokens)
        missing = max(1 if self._kept else 0, (whole or 0) - self._counted)
        incomplete = self._characters.is_waiting
        pieces = [self._pieces.push("".join(self._kept), tokens=missing, incomplete=incomplete)] if missing else []
        pieces.append(self._pieces.finish(self._characters.finish()))
        return [piece for piece in pieces if piece], whole
