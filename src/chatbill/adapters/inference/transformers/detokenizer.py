"""Convert token ids to text, one at a time, without splitting a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_LONGEST_WAIT_TOKENS = 8


class Detokenizer:
    """Returns the text that each token adds to a reply.

    The text of a token depends on the tokens before it (a tokenizer may strip or join blanks). So the last few tokens
    are decoded with and without the new ones, and the difference is returned. Tokens before the last returned text are
    not decoded again, so the work for a token does not grow with the reply. A character whose bytes are spread over
    several tokens is returned with the last of them.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._context: list[int] = []
        self._waiting: list[int] = []

    @property
    def incomplete(self) -> bool:
        """True while tokens wait for the rest of a character."""
        return bool(self._waiting)

    def push(self, token: int) -> str:
        """Return the text that this token completes; "" while a character is incomplete."""
        self._waiting.append(token)
        text = self._new_text()
        # No character is longer than 4 bytes, so more bytes than that are invalid.
        if text.endswith(_UNFINISHED) and len(self._waiting) < _LONGEST_WAIT_TOKENS:
            return ""
        self._context, self._waiting = self._waiting, []
        return text

    def flush(self) -> str:
        """Return the rest when no token follows, with invalid bytes as replacement characters."""
        text = self._new_text()
        self._context, self._waiting = [], []
        return text

    def _new_text(self) -> str:
        if not self._waiting:
            return ""
        return self._decode([*self._context, *self._waiting])[len(self._decode(self._context)) :]
