"""Count tokens before, or without, the server's own counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from chatbill.domain.chat.conversations import Turn

_TURN_TOKENS, _MOST_TURN_TOKENS = 4, 8
"""Tokens that a chat template puts around each message: usually, and at most."""
_TEMPLATE_TOKENS, _MOST_TEMPLATE_TOKENS = 3, 32
"""Tokens that it puts around all messages; some add a system message of their own."""

_MOST_TOKEN_BYTES = 32
"""Hardly any token of text is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """The size of a prompt in tokens: at least, at most, as reserved of the window, and as is most likely.

    `len` returns what is reserved of the window.
    """

    turns: tuple[Turn, ...]
    least: int
    most: int
    window: int
    likely: int

    def __len__(self) -> int:
        return self.window


class TokenCounter:
    """Counts with a tokenizer.json where there is one; otherwise from the bytes of the text in UTF-8.

    No tokenizer in use makes more tokens than bytes, which is the upper bound. The window reserves a token for two
    bytes, which suffices for nearly all text; four bytes, as in English, are most likely. Scripts whose letters take
    three bytes, such as Hindi and Thai, come to eight or ten, so sixteen bytes a token is the lower bound.
    """

    def __init__(self, tokenizer: Path | None) -> None:
        self._file = tokenizer

    @property
    def is_exact(self) -> bool:
        """True where there is a tokenizer."""
        return self._file is not None

    def load(self) -> None:
        """Read the tokenizer, which takes up to seconds. Raises `OSError` or `ValueError` if that fails."""
        if self._file is None:
            return
        try:
            _ = self._tokenizer
        except Exception as error:  # the library raises no more specific class
            raise ValueError(f"{self._file} is not a tokenizer that can be read: {error}") from error

    def prompt(self, turns: Sequence[Turn]) -> PromptSize:
        """Return the size of the prompt that a server makes of these turns."""
        margin = len(turns) * _MOST_TURN_TOKENS + _MOST_TEMPLATE_TOKENS
        likely_margin = len(turns) * _TURN_TOKENS + _TEMPLATE_TOKENS
        if self._file is not None:
            size = sum(self._tokens(turn.text) for turn in turns)
            least, most, window, likely = size, size, size, size
        else:
            size = sum(_bytes(turn.text) for turn in turns)
            least, most, window, likely = size // 16, size, -(-size // 2), -(-size // 4)
        return PromptSize(
            turns=tuple(turns),
            least=least,
            most=most + margin,
            window=window + margin,
            likely=likely + likely_margin,
        )

    def reply(self, text: str) -> int:
        """Return the tokens of one part of a reply: at least 1.

        Without a tokenizer a part is one token, as servers stream them, or a token for four bytes where it is longer
        than a token can be.
        """
        if self._file is not None:
            return max(1, self._tokens(text))
        size = _bytes(text)
        return 1 if size <= _MOST_TOKEN_BYTES else -(-size // 4)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._file))

    def _tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
