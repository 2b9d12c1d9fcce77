"""Counting tokens where the server has not said its own counts, or not yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from chatbill.domain.chat.conversations import Turn

_TURN_TOKENS, _MOST_TURN_TOKENS = 4, 8
"""What a chat template puts around each message: usually, and at most."""
_TEMPLATE_TOKENS, _MOST_TEMPLATE_TOKENS = 3, 32
"""What it puts around them all; some bring a system message of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """How long the prompt of these turns is, in tokens: at least, at most, by what it takes of the window, likeliest.

    Its length is what it takes of the window.
    """

    turns: tuple[Turn, ...]
    least: int
    most: int
    window: int
    likely: int

    def __len__(self) -> int:
        return self.window


class TokenCounter:
    """Counts by a tokenizer.json where there is one; else by the bytes of the text in UTF-8.

    No tokenizer in use makes more tokens than bytes, so that is the most. In a window two bytes are taken for a
    token, which is safe for nearly all text; the likeliest is four, as in English. Hindi, Thai and others whose letters
    take three bytes come to eight or ten, so no writing has more than sixteen.
    """

    def __init__(self, tokenizer: Path | None) -> None:
        self._file = tokenizer

    @property
    def is_exact(self) -> bool:
        """True where a tokenizer counts."""
        return self._file is not None

    def load(self) -> None:
        """Read the tokenizer, which takes up to seconds; raises `OSError` or `ValueError` when it cannot be read."""
        if self._file is None:
            return
        try:
            _ = self._tokenizer
        except Exception as error:  # the library raises nothing more special
            raise ValueError(f"{self._file} is not a tokenizer that can be read: {error}") from error

    def prompt(self, turns: Sequence[Turn]) -> PromptSize:
        """The size of the prompt that a server will make of these turns."""
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
        """Tokens of a part of a reply as it came: at least 1, and 1 where no tokenizer can say better."""
        return max(1, self._tokens(text)) if self._file is not None else 1

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._file))

    def _tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
