"""Texts of models as HTML: whole, exact and without effect."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given

from chatbill.entrypoints.ui.markdown import literal, to_html
from chatbill.entrypoints.ui.markdown.parser import MAX_CELLS, MAX_INLINE_CHARS
from tests.kit.markdown import FORMULAS, Elements, assert_harmless, expected, shown, texts

OVERLAY = '<div style="position:fixed"><a href="https://elsewhere.example/login">Sign in again</a></div>'


@given(texts())
def test_the_visible_text_is_what_a_reference_renderer_shows(text: str) -> None:
    assert shown(to_html(text)) == expected(text)


@given(texts(*FORMULAS, max_size=30))
def test_no_text_makes_an_element_that_markdown_does_not_have(text: str) -> None:
    assert_harmless(to_html(text))


@given(texts(*FORMULAS))
def test_literal_text_is_shown_character_by_character(text: str) -> None:
    (element,) = Elements(literal(text).replace("<wbr>", "")).found
    assert element == ("div", {"class": "cb-said"})
    inside = literal(text).removeprefix('<div class="cb-said">').removesuffix("</div>").replace("<wbr>", "")
    assert unescape(inside) == text.replace("\0", "\ufffd")


@pytest.mark.parametrize(
    "written",
    [
        "```cpp\nint x < 1;\n```",
        "1. Page:\n\n    ```html\n    <div>hi</div>\n    ```",
        "> ```\n> <quoted>\n> ```",
        "    <indented>",
        "``<b> ` </b>``",
        "- a\n\n      <code> in a list",
        f"\\`{OVERLAY}\\`",
        OVERLAY,
        f"\n\n{OVERLAY}\n\n*after*",
        "<form action='https://x.example'><input><button>Go</button></form>",
        "```mermaid\ngraph TD; A[<img src=https://x.example/q.png>]-->B;\n```",
        "<br> and <details><summary>x</summary></details>",
        "<script>alert(1)</script><style>*{display:none}</style><title>t</title><textarea>",
        "&lt;b&gt; &amp;lt; &#60;",
        "a < b && c > d",
    ],
)
def test_code_and_html_are_shown_as_they_were_written(written: str) -> None:
    html = to_html(written)
    assert shown(html) == expected(written)
    assert_harmless(html)


@pytest.mark.parametrize(
    ("written", "href", "text"),
    [
        ("<https://example.org>", "https://example.org", "https://example.org"),
        (
            "<https://example.org/a%20b?c=%3Cd%3E>",
            "https://example.org/a%20b?c=%3Cd%3E",
            "https://example.org/a%20b?c=%3Cd%3E",
        ),
        ("See https://example.org/a(b), then", "https://example.org/a(b)", "https://example.org/a(b)"),
        ("(https://example.org/?a=1&b=2)", "https://example.org/?a=1&b=2", "https://example.org/?a=1&b=2"),
        ("https://example.org/&lt;b&gt;", "https://example.org/", "https://example.org/"),
        ("**https://example.org**", "https://example.org", "https://example.org"),
        ("[it](https://example.org 'T')", "https://example.org", "it"),
        ("<me@example.org>", "mailto:me@example.org", "me@example.org"),
        ("![a *cat*](https://example.org/cat.png)", "https://example.org/cat.png", "a cat"),
        ("[here](/web/session)", None, "here"),
        ("[here](//example.org)", None, "here"),
        ("[here](ftp://example.org)", None, "here"),
    ],
)
def test_links_lead_to_whole_addresses_and_images_become_links(written: str, href: str | None, text: str) -> None:
    html = to_html(written)
    ((_, attributes),) = [element for element in Elements(html).found if element[0] == "a"]
    assert (attributes.get("href"), attributes["target"]) == (href, "_blank")
    assert attributes["rel"] == "noopener noreferrer nofollow"
    assert f">{text}</a>" in html.replace("&amp;", "&")


@pytest.mark.parametrize("written", ["[x](javascript:alert(1))", "[x](data:text/html,x)", "[x](vbscript:x)"])
def test_a_link_that_would_run_a_script_is_shown_as_text(written: str) -> None:
    assert to_html(written) == f"<p>{written}</p>\n"


def test_an_address_in_a_word_in_code_or_in_a_link_makes_no_link_of_its_own() -> None:
    assert to_html("xhttps://a.example").count("<a ") == 0
    assert to_html("`https://a.example`").count("<a ") == 0
    assert to_html("[https://a.example](https://b.example)").count("<a ") == 1
    assert to_html("[![a](https://a.example)](https://b.example)").count("<a ") == 1


def math(source: str, drawn: str, display: str = "block") -> str:
    whole = f"<mrow><mrow>{drawn}</mrow></mrow>"
    note = f'<annotation encoding="application/x-tex">{source}</annotation>'
    return f'<math display="{display}"><semantics>{whole}{note}</semantics></math>'


X_SQUARED = "<msup><mi>x</mi><mn>2</mn></msup>"
A_LESS_B = "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"


@pytest.mark.parametrize(
    ("written", "html"),
    [
        ("It is $$x^2$$.", f"<p>It is {math('x^2', X_SQUARED)}.</p>\n"),
        (r"So \(a<b\).", f"<p>So {math('a&lt;b', A_LESS_B, 'inline')}.</p>\n"),
        ("\\[\na\n\\]", f"<p>{math(chr(10) + 'a' + chr(10), '<mi>a</mi>')}</p>\n"),
        ("> $$\n> a\n> $$", f"<blockquote>\n<p>{math(chr(10) + 'a' + chr(10), '<mi>a</mi>')}</p>\n</blockquote>\n"),
        ("- $$a\n\nb$$", "<ul>\n<li>$$a</li>\n</ul>\n<p>b$$</p>\n"),
        ("It costs $5 or $6.", "<p>It costs $5 or $6.</p>\n"),
        (r"`\(x\)` and \\(x\\)", "<p><code>\\(x\\)</code> and \\(x\\)</p>\n"),
        (r"\(\href{a}{b}\)", "<p>(\\href{a}{b})</p>\n"),
        (r"\[\\\]", "<p>[\\]</p>\n"),
    ],
)
def test_formulas_and_nothing_else_become_mathml(written: str, html: str) -> None:
    assert to_html(written) == html


@pytest.mark.parametrize("source", [r"\left( x", "x^", r"\frac{" * 300, "{" * 900])
def test_a_formula_that_is_not_understood_is_shown_as_it_was_written(source: str) -> None:
    assert shown(to_html(f"$$a{source}$$")).words == f"$$a{source}$$".split()


def test_a_text_in_a_formula_makes_no_element() -> None:
    html = to_html(r"$$\text{<img src=x onerror=alert(1)> &lt;b&gt;} \rule{200em}{80em} \color{red}{y}$$")
    assert_harmless(html)
    assert "&lt;img" in html
    assert "200em" not in html.split("<annotation", maxsplit=1)[0]


def test_a_block_of_code_has_the_name_of_its_language() -> None:
    assert '<div class="cb-code" data-language="c++">' in to_html("```c++ title\nint x;\n```")
    assert '<div class="cb-code"><button' in to_html('```"><b>\nx\n```')


def test_a_table_is_in_an_element_that_scrolls() -> None:
    assert to_html("|a|\n|-|\n|1|").startswith('<div class="cb-wide"><table>')


def test_the_cells_of_a_table_are_aligned_by_classes() -> None:
    html = to_html("| a | b | c |\n|---|:-:|--:|\n| 1 | 2 | 3 |")
    assert '<td>1</td>\n<td class="cb-center">2</td>\n<td class="cb-right">3</td>' in html
    assert "style" not in html


def test_code_is_coloured_and_can_be_copied() -> None:
    html = to_html("```python\nif x < 1:\n    pass\n```")
    assert '<span class="k">if</span>' in html
    assert '<button type="button" class="cb-copy" title="Copy"></button><pre>' in html
    assert shown(html).code == ["if x < 1:\n    pass\n"]


@pytest.mark.parametrize(
    "written",
    [
        "> " * 60 + "deep",
        "".join(f"{'  ' * level}- {level}\n" for level in range(60)),
        "x" * 250_000,
        "**a** " * MAX_INLINE_CHARS,
        "[" * 5_000,
        "![a](b)" * 1_000,
    ],
    ids=["quotes", "lists", "a very long text", "a long paragraph", "brackets", "images"],
)
def test_what_would_be_left_out_or_take_too_long_is_shown_as_it_was_written(written: str) -> None:
    assert shown(to_html(written)).words == written.split()


def test_a_table_that_makes_much_of_little_text_is_shown_as_it_was_written() -> None:
    columns = 64
    head, rule, rows = "|".join("a" * columns), "|".join("-" * columns), "x\n" * 140
    html = to_html(f"{head}\n{rule}\n{rows}")
    assert "<table>" not in html
    assert shown(html).words == f"{head}\n{rule}\n{rows}".split()
    full = "a|b|c|d\n-|-|-|-\n" + "b|b|b|b\n" * (MAX_CELLS // 8)
    assert to_html(full).count("<td>") == MAX_CELLS // 2


def test_deep_links_and_images_are_shown() -> None:
    assert "a" in "".join(shown(to_html("[" * 150 + "a" + "](b)" * 150)).words)
    assert "a" in "".join(shown(to_html("![" * 199 + "a" + "](b)" * 199)).words)
