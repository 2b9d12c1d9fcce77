"""Texts of models and people in a real Chromium: whole, exact and without effect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from tests.browser.conftest import Visit, serving
from tests.browser.visitor import Visitor
from tests.kit.markdown import FORMULAS, TAGS, expected, texts
from tests.kit.support import MINI, PASSWORD

NUMBERS = count()
pytestmark = [pytest.mark.browser, pytest.mark.slow]

OVERLAY = '<div style="position:fixed;inset:0;background:#fff;z-index:9"><a href="https://x.example">Sign in</a></div>'
WRITTEN = (
    "Here:\n\n```cpp\nint x = 1;\n```\n\nDone.",
    "1. Page:\n\n    ```html\n    <div>hi</div>\n    ```",
    f"\\`{OVERLAY}\\`\n\n{OVERLAY}\n\n*after*",
    "    indented <code>\n\n> ```\n> <quoted>\n> ```\n\n``<b> ` </b>`` and <https://x.example/%3Ca%20b>",
    "<form action=https://x.example><input name=p><button>Go</button></form>\n\n![pic](https://x.example/p.png)",
    "```mermaid\ngraph TD; A[<img src=https://x.example/q.png>]-->B;\n```\n\n<style>*{display:none}</style>",
    "<script>document.title = 'x'</script> ${document.title='x'} {{7*7}} <img src=x onerror=\"document.title='x'\">",
    "a < b && c > d &lt;b&gt; `a  b` &#60;\n\n```\n\n\tfirst\n  second  \n\n```",
    "| a | b |\n|--:|---|\n| `<i>` | ~~x~~ |\n\n- one\n  - two\n\n3. three\n\n# Title\n\n---\n\n[a]: /b\n\nשלם *שלם*",
    "%%%LATEX_BLOCK_0%%% \u2063[\u2063x\u2063]\u2063 costs $5 or $6, `$$x$$`",
    "> " * 40 + "deep",
    *(
        f"```{language}\nif (x < 1) {{ return 'y' }} // é\n```"
        for language in ("CPP", "c++", "js", "python", "no such")
    ),
)

READ = """() => [...document.querySelectorAll("#cb-chat .cb-md")].map((reply) => ({
  words: reply.innerText,
  code: [...reply.querySelectorAll("pre")].map((pre) => pre.textContent),
}))"""
TYPED = """() => [...document.querySelectorAll("#cb-chat .cb-asked .cb-said")].map((said) => said.textContent)"""
STRANGE = """(tags) => [...document.querySelectorAll("#cb-chat :is(.cb-md, .cb-said, .cb-said *, .cb-md *)")]
  .filter((element) => !element.matches("button.cb-copy"))
  .filter((element) => !tags.includes(element.localName) || element.hasAttribute("style")
    || getComputedStyle(element).position === "fixed"
    || (element.localName === "a" && element.href && !/^(https?|mailto):/.test(element.href)))
  .map((element) => element.outerHTML)"""
OUTSIDE = """() => [...document.querySelectorAll("#cb-chat .cb-md")].filter((reply) => {
  const at = reply.getBoundingClientRect();
  return [...reply.querySelectorAll("*")].some((element) =>
    element.checkVisibility() && document.elementsFromPoint(innerWidth - 40, 20).includes(element));
}).length"""


@pytest.fixture(scope="module")
def verbatim_address() -> Iterator[str]:
    """Return the address of a service whose replies are the messages themselves."""
    with serving(1_000_000, "verbatim") as address:
        yield address


@pytest.fixture
def writer(visit: Visit, verbatim_address: str, request: pytest.FixtureRequest) -> Iterator[Writer]:
    """Return a user of the page; by the host name that a test may name, which the browser alone knows."""
    host = getattr(request, "param", "127.0.0.1")
    with httpx.Client(base_url=verbatim_address, timeout=60) as api:
        yield Writer(visit(verbatim_address.replace("127.0.0.1", host)), api, f"user{next(NUMBERS)}")


class Writer:
    """A user who lets the model write texts, and reads them in the page."""

    def __init__(self, visitor: Visitor, api: httpx.Client, name: str) -> None:
        self.visitor = visitor.register(name)
        self._api = api
        session = self._api.post("/auth/login", json={"username": name, "password": PASSWORD}).raise_for_status()
        self._api.headers["Authorization"] = f"Bearer {session.json()['access_token']}"

    def show(self, written: list[str]) -> None:
        """Let the model write these texts in a new conversation, and open it."""
        conversation: str | None = None
        for text in written:
            message = {"model": MINI, "message": text, "conversation_id": conversation}
            reply = self._api.post("/chat/message", json=message).raise_for_status().json()
            assert reply["reply"] == text
            conversation = reply["conversation_id"]
        self.visitor.page.goto(f"{self.visitor.address}/ui/c/{conversation}")
        shown = self.visitor.chat.locator(".cb-md")
        while True:
            expect(shown.first).to_be_visible()
            older = self.visitor.page.get_by_role("button", name="Older messages")
            if not older.count():
                break
            before = shown.count()
            older.click()
            expect(shown).not_to_have_count(before)
        expect(shown).to_have_count(len(written))

    def read(self, script: str, argument: object = None) -> Any:
        return self.visitor.page.evaluate(script, argument)

    def sees(self, written: list[str]) -> None:
        """Check that the page shows these texts as a reference renderer does, and has no other elements."""
        self.show(written)
        for text, seen in zip(written, self.read(READ), strict=True):
            right = expected(text)
            assert (seen["words"].split(), seen["code"]) == (right.words, right.code), text
        newlines = [text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd") for text in written]
        assert self.read(TYPED) == newlines
        self.has_nothing_strange()

    def has_nothing_strange(self) -> None:
        assert self.read(STRANGE, sorted(TAGS)) == []
        assert self.read(OUTSIDE) == 0
        assert self.visitor.page.title() not in {"x", ""}


def test_code_html_and_whatever_a_model_writes_is_shown_exactly(writer: Writer) -> None:
    writer.sees(list(WRITTEN))
    writer.visitor.picture("all")


def _is_message(text: str) -> bool:
    return bool(text.strip()) and "\0" not in text


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def _any_texts(writer: Writer, data: st.DataObject) -> None:
    writer.sees(data.draw(st.lists(texts().filter(_is_message), min_size=40, max_size=60)))


def test_any_text_is_shown_as_a_reference_renderer_shows_it(writer: Writer) -> None:
    _any_texts(writer)


@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def _any_formulas(writer: Writer, data: st.DataObject) -> None:
    writer.show(data.draw(st.lists(texts(*FORMULAS, max_size=30).filter(_is_message), min_size=40, max_size=60)))
    writer.has_nothing_strange()


def test_no_formula_draws_outside_of_its_reply(writer: Writer) -> None:
    _any_formulas(writer)
    writer.show([r"$$\rlap{\raisebox{40em}{\rule{200em}{80em}}}x$$", r"\(\href{https://x.example}{y}\)", "a", "b"])
    writer.has_nothing_strange()
    writer.visitor.picture("overlay")


def test_formulas_are_drawn_where_the_renderer_finds_them(writer: Writer) -> None:
    writer.show(["It is $$x^2$$, and \\(y_1\\).\n\n\\[\na\n- b\n= c\n\\]\n\nNot `\\(z\\)`, $5 or $6."])
    reply = writer.visitor.chat.locator(".cb-md")
    expect(reply.locator("math")).to_have_count(3)
    expect(reply.locator("math[display=block]")).to_have_count(2)
    expect(reply.locator("msup")).to_be_visible()
    assert reply.locator("annotation").all_text_contents() == ["x^2", "y_1", "\na\n- b\n= c\n"]
    expect(reply).to_contain_text("$5 or $6")
    assert reply.locator("code").inner_text() == r"\(z\)"
    writer.visitor.picture("formulas")


@pytest.mark.parametrize("writer", ["127.0.0.1", "chat.test"], ids=["by-the-clipboard", "without-https"], indirect=True)
def test_code_is_copied_exactly(writer: Writer) -> None:
    writer.show(["Run:\n\n```python\n\tif x < 1:\n\n\t    print('<b>')  # &lt;\n```\n"])
    page = writer.visitor.page
    page.locator(".cb-code").hover()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    writer.visitor.box.focus()
    page.keyboard.press("Control+V")
    expect(writer.visitor.box).to_have_value("\tif x < 1:\n\n\t    print('<b>')  # &lt;\n")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_reply_is_shown_while_it_is_written_and_the_same_afterwards(
    visit: Visit, address: str, color_scheme: str
) -> None:
    fred = visit(address, color_scheme=color_scheme).register(f"fred{color_scheme}")
    fred.send("**bold** <div> `<code>` ![pic](https://x.example/p.png) [[tokens:60]] [[pause:0.1]]")
    expect(fred.small_print).to_have_text("Demo mini · writing…")
    expect(fred.replies.first.locator("strong").first).to_have_text("bold")
    expect(fred.replies.first).to_contain_text("<div>")
    fred.sees_balance("99 credits")
    expect(fred.replies.first.locator("a.cb-image").first).to_have_text("pic")
    expect(fred.replies.first.locator("img, div")).to_have_count(0)
    fred.picture(f"{color_scheme}-done")
