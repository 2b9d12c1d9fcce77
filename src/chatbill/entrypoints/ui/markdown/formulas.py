r"""Markdown rules for formulas: `$$…$$` and `\[…\]` on a line of their own, `\(…\)` in the text.

The page shows them with KaTeX, which Gradio brings. It searches the whole page for delimiters. To find formulas here
and nowhere else, formulas get delimiters that no other text of the page can have.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from chatbill.entrypoints.ui.markdown.text import MARK

MAX_CHARS: Final = 2_000
"""A longer formula on lines of its own is shown as text."""
DELIMITERS: Final = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
INLINE: Final = r"\("
# KaTeX draws the names of these commands, without what was written in them.
_REFUSED = re.compile(r"\\(?:href|html|includegraphics|url)")
# Without KaTeX, the brackets are what a reader sees of them.
_SHOWN = {True: (f"{MARK}[{MARK}", f"{MARK}]{MARK}"), False: (f"{MARK}({MARK}", f"{MARK}){MARK}")}


def page_delimiters() -> list[dict[str, str | bool]]:
    """Return the delimiters in the form of Gradio's `latex_delimiters`."""
    return [{"left": left, "right": right, "display": display} for display, (left, right) in _SHOWN.items()]


def formula_html(token: Token) -> str:
    """Return the formula of a token between the delimiters of the page."""
    left, right = _SHOWN[token.markup != INLINE]
    return f"{left}{escape(token.content)}{right}"


def add_formulas(parser: MarkdownIt) -> None:
    """Add the rules to a parser."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before(
        "fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _is_formula(text: str) -> bool:
    return any(map(str.isalnum, text)) and MARK not in text and not _REFUSED.search(text)


def _inline(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the parser's own signature
    opening = state.src[state.pos : state.pos + 2]
    closing = DELIMITERS.get(opening)
    if closing is None:
        return False
    start = state.pos + 2
    end = state.src.find(closing, start, state.posMax)
    if end < 0 or not _is_formula(content := state.src[start:end]):
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.markup = content, opening
    state.pos = end + 2
    return True


def _block(state: StateBlock, first: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - the parser's own signature
    if state.is_code_block(first):
        return False
    start = state.bMarks[first] + state.tShift[first]
    opening = state.src[start : start + 2]
    if opening not in DELIMITERS or opening == INLINE:
        return False
    closing = DELIMITERS[opening]
    if not 0 <= state.src.find(closing, start + 2) - start <= MAX_CHARS:
        return False
    for line in range(first, end):
        if line > first and (state.isEmpty(line) or state.sCount[line] < state.blkIndent):
            return False
        written = state.src[state.bMarks[line] : state.eMarks[line]].rstrip()
        at = written.find(closing, start + 2 - state.bMarks[line] if line == first else 0)
        if at >= 0:
            return at == len(written) - 2 and _push(state, first, line, opening, silent=silent)
    return False


def _push(state: StateBlock, first: int, last: int, opening: str, *, silent: bool) -> bool:
    content = state.getLines(first, last + 1, state.blkIndent, keepLastLF=False).strip()[2:-2]
    if not _is_formula(content):
        return False
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content, token.markup, token.map = content, opening, [first, last + 1]
        state.line = last + 1
    return True
