"""A Markdown rule for addresses that are written without brackets, such as https://example.org."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_SCHEME = re.compile(r"(?<![A-Za-z0-9])https?\Z", re.IGNORECASE)
_REST = re.compile(r"://[^\s<>\"`\\\[\]|*]+")
_ENTITY = re.compile(r"&#?\w+;")
_LONGEST_SCHEME = len("https") + 1


def add_bare_links(parser: MarkdownIt) -> None:
    """Add the rule to a parser."""
    parser.inline.ruler.after("text", "bare_link", _bare_link)


def _bare_link(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - the parser's own signature
    at = state.pos
    if state.src[at] != ":" or state.linkLevel:
        return False
    scheme = _SCHEME.search(state.src[max(0, at - _LONGEST_SCHEME) : at])
    found = _REST.match(state.src, at, state.posMax)
    rest = _without_punctuation(found[0]) if found else ""
    if not scheme or not any(map(str.isalnum, rest)):
        return False
    if not silent:
        if not state.pending.endswith(scheme[0]):
            return False
        state.pending = state.pending.removesuffix(scheme[0])
        url = scheme[0] + rest
        state.push("link_open", "a", 1).attrs = {"href": state.md.normalizeLink(url)}
        state.push("text", "", 0).content = url
        state.push("link_close", "a", -1)
    state.pos += len(rest)
    return True


def _without_punctuation(rest: str) -> str:
    """Return the address without an entity and without the punctuation of the sentence around it."""
    rest = _ENTITY.split(rest, maxsplit=1)[0].rstrip("?!.,:;_~'")
    while rest.endswith(")") and rest.count(")") > rest.count("("):
        rest = rest[:-1].rstrip("?!.,:;_~'")
    return rest
