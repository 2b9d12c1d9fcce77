"""Renders a text that grows, such as a reply that is being written."""

from __future__ import annotations

import logging
import time
from typing import Final

from markdown_it.token import Token

from chatbill.entrypoints.ui.markdown.parser import make_parser
from chatbill.entrypoints.ui.markdown.pipeline import tokens_html
from chatbill.entrypoints.ui.markdown.text import literal

MAX_OPEN_CHARS: Final = 8_000
"""A longer block, while it grows, is shown as it was written."""

_log = logging.getLogger(__name__)
_PARSER = make_parser(colours=False)


class LiveMarkdown:
    """Renders each block of a growing text once it has ended, and only the last block again with each call.

    So the work of all calls together grows with the length of the text, and not with its square. The result is meant
    for the time of writing: a link to an address that the text names later is not yet one, and code has no colours.

    A call that comes too soon after an expensive one gets its result again: after each, `pause` times the CPU time
    that it took must pass. So one reply cannot keep a core busy.
    """

    def __init__(self, *, pause: float = 9.0) -> None:
        self._pause = pause
        self._not_before = 0.0
        self._last = ""
        self._ended: list[str] = []
        self._offset = 0
        self._references: dict[str, object] = {}
        self._literal_below = 0

    def parts(self, text: str) -> list[str]:
        """Return the HTML of the text so far in parts, of which only the last one changes from call to call."""
        if time.monotonic() >= self._not_before:
            started = time.thread_time()
            self._last = self._render(text.replace("\r\n", "\n").replace("\r", "\n"))
            self._not_before = time.monotonic() + self._pause * (time.thread_time() - started)
        return [*self._ended, self._last]

    def _render(self, text: str) -> str:
        last: str | None = None
        if len(text) >= self._literal_below:
            try:
                last = self._end_blocks(text)
            except Exception:  # noqa: BLE001 - logged; a fault of a library must not hide a reply
                _log.exception("text_not_rendered")
        return literal(text[self._offset :]) if last is None else last

    def _end_blocks(self, text: str) -> str | None:
        """Render the blocks that have ended, and return the last block; None if it is shown as it was written."""
        rest = text[self._offset :]
        env = {"references": dict(self._references)}
        tokens = _PARSER.parse(rest, env)
        if start := _last_block(tokens, rest):
            index, offset = start
            self._ended.append(tokens_html(_PARSER, tokens[:index], env) or literal(rest[:offset]))
            self._offset += offset
            self._references = env["references"]
            tokens = tokens[index:]
        if len(text) - self._offset > MAX_OPEN_CHARS:
            self._literal_below = len(text) * 5 // 4
            return None
        return tokens_html(_PARSER, tokens, env)


def _last_block(tokens: list[Token], text: str) -> tuple[int, int] | None:
    """Return the index and the offset of the last of several blocks. Its first line must be complete."""
    complete = text.count("\n")
    starts = [(index, token.map[0]) for index, token in enumerate(tokens) if token.map and token.level == 0]
    for index, line in reversed(starts[1:]):
        if line < complete:
            return index, sum(map(len, text.split("\n", line)[:line])) + line
    return None
