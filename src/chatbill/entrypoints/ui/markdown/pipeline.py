"""From Markdown to HTML that is safe to show: parsed without HTML, and sanitized once more."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import EnvType

from chatbill.entrypoints.ui.markdown import formulas
from chatbill.entrypoints.ui.markdown.highlighting import CLASSES
from chatbill.entrypoints.ui.markdown.parser import MAX_NESTING, make_parser
from chatbill.entrypoints.ui.markdown.text import literal

MAX_CHARS: Final = 200_000
"""A longer text is shown as it was written."""
CACHED_TEXTS: Final = 256

_log = logging.getLogger(__name__)
_PARSER = make_parser(colours=True)
_SANITIZER = nh3.Cleaner(
    tags={
        *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "a", "ul", "ol", "li"),
        *("blockquote", "pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td", "wbr", "div"),
        *formulas.TAGS,
    },
    clean_content_tags=set(),
    attributes={"a": {"href", "title"}, "ol": {"start"}, "pre": {"data-language"}, **formulas.ATTRIBUTES},
    allowed_classes={
        "a": {"cb-image"},
        "div": {"cb-said", "cb-wide"},
        "span": set(CLASSES),
        "td": {"cb-center", "cb-right"},
        "th": {"cb-center", "cb-right"},
    },
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)
# The sanitizer escapes every text, so that these are the tags and no others.
_PRE = re.compile(r'<pre( data-language="[^"]*")?>')
_COPY = r'<div class="cb-code"\1><button type="button" class="cb-copy" title="Copy"></button><pre>'


@lru_cache(maxsize=CACHED_TEXTS)
def to_html(markdown: str) -> str:
    """Return the HTML of a text of a model. Results are cached, because a page shows the same replies again."""
    if len(markdown) > MAX_CHARS:
        return literal(markdown)
    try:
        html = tokens_html(_PARSER, _PARSER.parse(markdown), {})
    except Exception:  # noqa: BLE001 - logged; a fault of a library must not hide a reply
        _log.exception("text_not_rendered")
        html = None
    return literal(markdown) if html is None else html


def tokens_html(parser: MarkdownIt, tokens: list[Token], env: EnvType) -> str | None:
    """Return the sanitized HTML of tokens; None if a part of the text is nested too deeply to be among them."""
    if any(token.nesting == 1 and token.level >= MAX_NESTING - 1 for token in tokens):
        return None
    html = _SANITIZER.clean(str(parser.renderer.render(tokens, parser.options, env)))
    return _PRE.sub(_COPY, html).replace("</pre>", "</pre></div>")
