"""Count the tokens of a reply as it arrives, never more than were held for."""

from __future__ import annotations

from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.adapters.inference.openai.errors import ErrorKind, ServerError
from chatbill.application.ports.engine import Chunk
from chatbill.domain.chat.interactions import storable

_CHARS_A_TOKEN, _CHARS_MORE = 256, 4_096
"""Twice the longest token of large vocabularies, which is a run of 128 blanks."""


class SurrogateJoiner:
    """Joins surrogate pairs that arrive in two parts: servers in JavaScript may cut text anywhere in UTF-16.

    A surrogate that stays alone becomes U+FFFD, as does NUL, because neither can be stored.
    """

    def __init__(self) -> None:
        self._half = ""

    @property
    def is_waiting(self) -> bool:
        """True while the second half of a character is to come."""
        return bool(self._half)

    def push(self, text: str) -> str:
        """Add `text`, and return what is complete."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return storable(text)

    def finish(self) -> str:
        """Return the rest, when no text follows."""
        rest, self._half = storable(self._half), ""
        return rest


class UsageCounter:
    """Makes chunks of the parts of a reply; ends it at a stop string even where the server does not.

    The last of `max_tokens` is reserved for the end: all that a server sends beyond the counted tokens comes with it,
    so the chunks never add up to more. A server that sends twice as many parts as it may write tokens is cut off; a
    reply that is longer than so many tokens can be fails.
    """

    def __init__(self, counter: TokenCounter, *, stop: tuple[str, ...], max_tokens: int) -> None:
        self._counter = counter
        self._joiner = SurrogateJoiner()
        self._chunks = ChunkBuilder(stop)
        self._max_tokens = max_tokens
        self._parts = 0
        self._room = _CHARS_A_TOKEN * max_tokens + _CHARS_MORE
        self._counted = 0
        self._kept: list[str] = []
        self._text: list[str] = []

    @property
    def stopped(self) -> bool:
        """True once a stop string was written."""
        return self._chunks.stopped

    @property
    def has_text(self) -> bool:
        """True once the model has written text."""
        return bool(self._parts)

    @property
    def ended(self) -> bool:
        """True when no later part belongs to the reply."""
        return self._chunks.stopped or self._parts > 2 * self._max_tokens + 16

    def push(self, text: str, written: int | None = None) -> Chunk | None:
        """Add the next part of the reply. Raises `ServerError` when it is longer than it can be.

        `written` is the server's count of all tokens so far, from one that counts as it writes.
        """
        self._parts += 1
        self._room -= len(text)
        if self._room < 0:
            raise ServerError(ErrorKind.BROKEN, f"more characters than {self._max_tokens} tokens can have")
        text = self._joiner.push(text)
        self._text.append(text)
        room = self._max_tokens - 1 - self._counted
        if room < 1:
            self._kept.append(text)
            return None
        tokens = min(max(1, written - self._counted) if written else self._counter.reply(text), room)
        self._counted += tokens
        return self._chunks.push(text, tokens=tokens, incomplete=self._joiner.is_waiting)

    def finish(self, reported: int | None) -> tuple[list[Chunk], int | None]:
        """Return the rest of the reply, and its total tokens if they are known better than from its chunks.

        `reported` is the server's own count.
        """
        whole = reported
        if whole is None and self._counter.is_exact and not self._chunks.stopped and self._text:
            whole = self._counter.reply("".join(self._text))
        if whole is not None:
            whole = min(whole, self._max_tokens)
        missing = max(1 if self._kept else 0, (whole or 0) - self._counted)
        incomplete = self._joiner.is_waiting
        chunks = [self._chunks.push("".join(self._kept), tokens=missing, incomplete=incomplete)] if missing else []
        chunks.append(self._chunks.finish(self._joiner.finish()))
        return [chunk for chunk in chunks if chunk], whole
