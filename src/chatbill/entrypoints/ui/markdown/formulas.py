r"""Markdown rules for formulas: `$$…$$` and `\[…\]` on a line of their own, `\(…\)` in the text.

They become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Final
from xml.etree.ElementTree import Element  # elements are made here, and no XML is parsed

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from chatbill.entrypoints.ui.markdown.text import escaped

MAX_CHARS: Final = 2_000
"""The end of a formula on lines of its own is looked for as far as this. Without a bound, a text with many beginnings
would take the square of its length."""
DELIMITERS: Final = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
INLINE: Final = r"\("
TAGS: Final = frozenset(
    (
        *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup"),
        *("mover", "munder", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "mstyle"),
        *("menclose", "mphantom", "mpadded", "semantics", "annotation"),
    )
)
ATTRIBUTES: Final = {
    "math": {"display"},
    "annotation": {"encoding"},
    "mo": {"stretchy", "fence", "form", "minsize", "maxsize"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "mover": {"accent"},
    "mtable": {"displaystyle"},
    "mstyle": {"displaystyle"},
    "menclose": {"notation"},
}
"""Nothing that moves, sizes, colours or links a part of a formula."""
# These commands are shown as text, because nothing may be loaded or linked from a formula.
_REFUSED = re.compile(r"\\(?:href|html|includegraphics|url)")
_ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|gathered|split)\}")


def formula_html(token: Token) -> str:
    """Return the formula of a token as MathML with its source; the source alone if it is not understood."""
    inline = token.markup == INLINE
    try:
        whole = convert_to_element(_ALIGNED.sub(r"\\\1{align*}", token.content), "inline" if inline else "block")
        drawn = _written(whole)
    except Exception:  # noqa: BLE001 - a model may write anything, and the converter fails in many ways
        return escaped(f"{token.markup}{token.content}{DELIMITERS[token.markup]}")
    source = f'<annotation encoding="application/x-tex">{escaped(token.content)}</annotation>'
    return f'<math display="{"inline" if inline else "block"}"><semantics>{drawn}{source}</semantics></math>'


def _written(element: Element) -> str:
    """Return an element with its text escaped, and with the attributes that may be written."""
    content = escape(unescape(element.text or "")) + "".join(map(_written, element))
    if element.tag not in TAGS or element.tag == "math":
        return f"<mrow>{content}</mrow>"
    allowed = ATTRIBUTES.get(element.tag, set())
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attrib.items() if name in allowed)
    return f"<{element.tag}{attributes}>{content}</{element.tag}>"


def add_formulas(parser: MarkdownIt) -> None:
    """Add the rules to a parser."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before(
        "fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _is_formula(text: str) -> bool:
    return any(map(str.isalnum, text)) and not _REFUSED.search(text)


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
    if state.src.find(closing, start + 2, start + 2 + MAX_CHARS) < 0:
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
