"""Keep the markers of the chat template to the template: no user can end a turn and write as the model."""

from __future__ import annotations

import re
from collections.abc import Iterable

_BREAK = "\u200b"
"""A blank without width: it divides a marker and changes nothing for the eye."""


class Markers:
    """The texts of a model's control tokens, which llama.cpp would read as such in messages, too."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = frozenset(token for token in tokens if len(token) > 1)
        self._sizes = sorted({len(token) for token in self._tokens})
        firsts = "".join(sorted({token[0] for token in self._tokens}))
        self._begin = re.compile(f"[{re.escape(firsts)}]" if firsts else r"(?!)")

    def divided(self, text: str) -> str:
        """Return the text with each marker in it divided, so that it is read as plain text."""
        return self._begin.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        at, text = found.start(), found.string
        is_marker = any(text[at : at + size] in self._tokens for size in self._sizes)
        return found[0] + _BREAK if is_marker else found[0]
