"""What a reader sees of a text, by a plain Markdown renderer, and texts to try."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatbill.entrypoints.ui.markdown import formulas


class _Reference(MarkdownIt):
    def normalizeLinkText(self, url: str) -> str:  # noqa: N802 - the parser's own name
        return url


REFERENCE: Final = _Reference("commonmark", {"html": False, "breaks": True, "maxNesting": 50})
REFERENCE.enable(["table", "strikethrough"])

FRAGMENTS = (
    *(
        "`",
        "``",
        "```",
        "```cpp\n",
        "~~~html\n",
        "\n",
        "\n\n",
        "    ",
        "\t",
        " ",
        "> ",
        "- ",
        "1. ",
        "* ",
        "# ",
        "---\n",
    ),
    *("<div>", "</div>", "<b", '<div style="position:fixed">', "<form action=//x.example>", "<br>", "<!--", "-->"),
    *("<script>alert(1)</script>", "<img src=//x.example/p.png onerror=alert(1)>", "<https://x.example/a?b=<c>", "<?"),
    *(
        "<https://x.example/%3Ca%20b>",
        "<mailto:a@x.example>",
        "https://x.example/a(b)c, ",
        "&lt;",
        "&#60;",
        "&",
        "&copy",
    ),
    *("\\", "\\`", "\\<", "*", "**", "_", "~~", "[", "](", "](//x.example)", ")", "![", "[a]: /b\n", "[a]", '"', "'"),
    *("](javascript:alert(1))", "](data:text/html,x)", "|", "|-|-|\n", "| a | b |\n", "$", "=", "${7*7}", "{{7*7}}"),
    *(
        "```mermaid\ngraph TD; A[<img src=//x.example/q>]-->B;\n```\n",
        "\u2063[\u2063x\u2063]\u2063",
        "%%%LATEX_BLOCK_0%%%",
    ),
    *("word", "שלום", "é", "\U0001f600", "\u200b", "\u00a0", "\r\n", "\0", "\x80", "\ufeff", "\ue000"),
)
TAGS: Final = frozenset(
    (
        *(
            "a",
            "blockquote",
            "br",
            "code",
            "div",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
        ),
        *("s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul", "wbr"),
        *formulas.TAGS,
    )
)
FORMULAS = ("$$", r"\(", r"\)", r"\[", r"\]")


def texts(*more: str, max_size: int = 14) -> st.SearchStrategy[str]:
    """Return texts of Markdown, HTML and any other characters. They have no formulas, unless `more` brings them."""
    piece = st.one_of(st.sampled_from((*FRAGMENTS, *more)), st.text(max_size=6))
    joined = st.lists(piece, min_size=1, max_size=max_size).map("".join)
    return joined.filter(lambda text: more or not any(sign in text for sign in FORMULAS))


@dataclass
class Shown:
    """The words of a text, and its blocks of code character by character."""

    words: list[str]
    code: list[str] = field(default_factory=list)


def shown(html: str) -> Shown:
    """Return what a reader sees of HTML, with the descriptions of images."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Shown("".join(reader.words).split(), reader.code)


def expected(markdown: str) -> Shown:
    """Return what a reader should see of a Markdown text."""
    return shown(REFERENCE.render(markdown))


class _Reader(HTMLParser):
    BLOCKS = frozenset(("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "pre", "blockquote"))

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.code: list[str] = []
        self._in_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.BLOCKS:
            self.words.append("\n")
        if tag == "pre":
            self._in_code = True
            self.code.append("")
        self.words += [value or "" for name, value in attrs if tag == "img" and name == "alt"]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.BLOCKS:
            self.words.append("\n")
        if tag == "pre":
            self._in_code = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_code:
            self.code[-1] += data


class Elements(HTMLParser):
    """The elements of HTML, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in Elements(html).found:
        if tag == "button":
            assert attributes == {"type": "button", "class": "cb-copy", "title": "Copy"}
            continue
        assert tag in TAGS
        allowed = {"href", "title", "class", "rel", "target"} if tag == "a" else {"class", "start", "data-language"}
        assert set(attributes) <= formulas.ATTRIBUTES.get(tag, allowed)
        assert urlsplit(attributes.get("href") or "https:").scheme in {"http", "https", "mailto"}
