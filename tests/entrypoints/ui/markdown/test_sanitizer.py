"""The sanitizer alone: it cleans HTML that the parser would never let through."""

from __future__ import annotations

import pytest
from markdown_it.token import Token

from chatbill.entrypoints.ui.markdown import to_html
from chatbill.entrypoints.ui.markdown.parser import make_parser
from chatbill.entrypoints.ui.markdown.pipeline import tokens_html

LINK = '<a target="_blank" rel="noopener noreferrer nofollow">a</a>'


@pytest.mark.parametrize(
    ("html", "cleaned"),
    [
        ("<img src=x onerror=alert(1)>a", "a"),
        ('<form action="https://x.example"><input name=p><button>a</button></form>', "a"),
        ("<script>alert(1)</script><style>*{}</style>", "alert(1)*{}"),
        ("<iframe src=https://x.example></iframe><base href=//x.example><meta http-equiv=refresh><link>", ""),
        ('<p style="position:fixed" id="sign-in" onclick="x()">a</p>', "<p>a</p>"),
        (
            '<table><tbody><tr><td style="x:y" id="b">a</td><th name="c" colspan="9">a</th></tr></tbody></table>',
            "<table><tbody><tr><td>a</td><th>a</th></tr></tbody></table>",
        ),
        ('<span style="x:y">a</span>', "<span>a</span>"),
        ('<h1 id="body" hx-get="/" tabindex="1" data-view="chat">a</h1>', "<h1>a</h1>"),
        ('<a href="javascript:alert(1)" download ping="//x.example">a</a>', LINK),
        ('<a href="data:text/html,x">a</a>', LINK),
        ('<a href="vbscript:x">a</a>', LINK),
        ('<a href="ftp://x.example">a</a>', LINK),
        ('<a href="/web/session">a</a>', LINK),
        ('<a href="//x.example" target="_self" rel="opener">a</a>', LINK),
        ('<code class="cb-frame">a</code><p class="cb-frame">a</p>', "<code>a</code><p>a</p>"),
        ('<span class="k cb-frame">a</span>', '<span class="k">a</span>'),
        ('<div class="cb-frame cb-wide">a</div>', '<div class="cb-wide">a</div>'),
        ('<table class="cb-wide"></table>', "<table></table>"),
        ('<svg><a href="https://x.example">a</a></svg>', ""),
        ('<math><mi href="https://x.example" style="x" mathcolor="red">a</mi></math>', "<math><mi>a</mi></math>"),
        ('<math><mspace width="200em"></mspace></math>', "<math><mspace></mspace></math>"),
        ('<math><mpadded voffset="9em" width="0">a</mpadded></math>', "<math><mpadded>a</mpadded></math>"),
    ],
)
def test_html_that_the_parser_would_never_let_through_is_cleaned(html: str, cleaned: str) -> None:
    written = tokens_html(make_parser(colours=False), [Token("html_block", "", 0, content=html)], {})
    assert written == cleaned


@pytest.mark.parametrize("kind", ["png", "gif", "jpeg", "webp"])
def test_an_image_in_an_address_is_no_link(kind: str) -> None:
    # The parser lets these addresses through, for images.
    for written in (f"[a](data:image/{kind};base64,AAAA)", f"<data:image/{kind};base64,AAAA>"):
        assert "href" not in to_html(written)
