"""The Markdown parser: CommonMark with tables, crossed-out text, formulas and bare addresses, without HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from chatbill.entrypoints.ui.markdown.formulas import add_formulas, formula_html
from chatbill.entrypoints.ui.markdown.highlighting import highlighted
from chatbill.entrypoints.ui.markdown.links import add_bare_links
from chatbill.entrypoints.ui.markdown.text import escaped

MAX_NESTING: Final = 50
"""The parser leaves out what is nested more deeply."""
MAX_INLINE_CHARS: Final = 5_000
"""A longer paragraph, heading or cell is shown as it was written: parsing can take the square of its length."""
MAX_BRACKETS: Final = 200
"""The same holds for a text with more opening brackets, each of which may begin a link."""
MAX_CELLS: Final = 10_000
"""A larger table is shown as it was written, and one whose rows are much shorter than its head: short rows are filled
up, which makes much of little text."""
_LANGUAGE = re.compile(r"[\w.+#-]{1,20}", re.ASCII)
_ALIGNED = {"text-align:center": "cb-center", "text-align:right": "cb-right"}


class _Parser(MarkdownIt):
    def normalizeLinkText(self, url: str) -> str:  # noqa: N802 - the parser's own name
        """Return the address as it was written; by default, a part of it is decoded."""
        return url


class _Renderer(RendererHTML):
    """Renders tokens as HTML without styles and images. Each method is named for a kind of token."""

    def text(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return escaped(tokens[idx].content)

    def long_text(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return escaped(tokens[idx].content).replace("\n", "<br>")

    def formula(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return formula_html(tokens[idx])

    def formula_block(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        return f"<p>{formula_html(tokens[idx])}</p>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return a block of code with the name of its language."""
        html, name = super().fence(tokens, idx, options, env), tokens[idx].info.split(maxsplit=1)[:1]
        if not name or not _LANGUAGE.fullmatch(name[0]):
            return html
        return html.replace("<pre>", f'<pre data-language="{name[0]}">', 1)

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return the start of a table in an element that scrolls."""
        return f'<div class="cb-wide">{self.renderToken(tokens, idx, options, env)}'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return the end of both."""
        return f"{self.renderToken(tokens, idx, options, env)}</div>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return a link to the image with its description as text; inside another link, the description alone."""
        token = tokens[idx]
        described = escaped(self.renderInlineAsText(token.children, options, env))
        if sum(other.nesting for other in tokens[:idx] if other.tag == "a"):
            return described
        link = Token("link_open", "a", 1, attrs={"class": "cb-image", "href": token.attrs["src"]})
        link.attrs["title"] = token.attrs.get("title") or token.attrs["src"]
        return f"<a{self.renderAttrs(link)}>{described}</a>"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Return the start of a cell, aligned by a class."""
        return self.td_open(tokens, idx, options, env)

    def td_open(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        """Return the start of a cell, aligned by a class."""
        name = _ALIGNED.get(str(tokens[idx].attrs.get("style")))
        return f'<{tokens[idx].tag} class="{name}">' if name else f"<{tokens[idx].tag}>"


def make_parser(*, colours: bool) -> MarkdownIt:
    """Return a parser, with or without colours for code."""
    options = {
        "html": False,
        "breaks": True,
        "xhtmlOut": False,
        "maxNesting": MAX_NESTING,
        "highlight": highlighted if colours else None,
    }
    parser = _Parser("commonmark", options, renderer_cls=_Renderer).enable(["table", "strikethrough"])
    parser.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
    parser.core.ruler.before("inline", "long_text", _leave_long_texts)
    add_formulas(parser)
    add_bare_links(parser)
    return parser


def _small_table(state: StateBlock, first: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - the parser's signature
    if not table(state, first, end, True):  # noqa: FBT003 - the parser's own signature
        return False
    last = _end_of_lines(state, first, end)
    columns = state.src.count("|", state.bMarks[first], state.eMarks[first]) + 1
    cells = columns * (last - first)
    if cells > MAX_CELLS:
        return False
    pipes = state.src.count("|", state.bMarks[first], state.eMarks[last - 1])
    return cells <= 100 + 3 * pipes and table(state, first, end, silent)


def _end_of_lines(state: StateBlock, first: int, end: int) -> int:
    """Return the next empty line. It is kept, because each line before it may begin a table."""
    kept: dict[tuple[int, int], int] = state.env.setdefault("ends_of_lines", {})
    place = (end, state.level)
    if kept.get(place, 0) <= first:
        kept[place] = next((line for line in range(first, end) if state.isEmpty(line)), end)
    return kept[place]


def _leave_long_texts(state: StateCore) -> None:
    for token in state.tokens:
        text = token.content
        if token.type == "inline" and (len(text) > MAX_INLINE_CHARS or text.count("[") > MAX_BRACKETS):
            token.type = "long_text"
