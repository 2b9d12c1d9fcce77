"""The page for people who enlarge it, choose colours of their own, want no motion, or write from right to left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Visit, serving
from tests.browser.test_administration import SECTIONS, goes
from tests.browser.test_walk import OVERFLOWS
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLACES = ("Chat", "Credits", "History", "Account")
ZOOMED = ViewportSize(width=640, height=400)
"""A window of 1280 by 800 at 200 %."""
MOVES = """() => [...document.querySelectorAll("#cb-frame *")].filter((each) => {
  const style = getComputedStyle(each);
  const times = `${style.transitionDuration}, ${style.animationName === "none" ? "0s" : style.animationDuration}`;
  return times.split(", ").some((time) => parseFloat(time) > 0.01);
}).map((each) => `${each.tagName}#${each.id}.${each.className}`)"""
EDGES = """(each) => {
  const [style, line] = [each, each.querySelector(":scope > span") ?? each].map((one) => getComputedStyle(one));
  return [style, line].map((one) => [
    one.borderTopWidth, one.borderTopStyle, one.borderTopColor, one.borderBottomWidth, one.outlineStyle,
    one.outlineWidth, one.textDecorationLine, one.color, one.fill]).join();
}"""
BEGINS_AT = """(each) => {
  const walker = document.createTreeWalker(each, NodeFilter.SHOW_TEXT, (node) =>
    node.data.trim() ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
  const first = walker.nextNode();
  const range = new Range();
  range.setStart(first, 0);
  range.setEnd(first, 1);
  const [letter, box] = [range.getBoundingClientRect(), each.getBoundingClientRect()];
  return letter.right > box.right - 40 ? "right" : "left";
}"""


@pytest.fixture(scope="module")
def verbatim() -> Iterator[str]:
    with serving(100, "verbatim") as address:
        yield address


def screens(visitor: Visitor) -> Iterator[str]:
    """Open each view, with something in it; yield its name."""
    page = visitor.arrive().page
    visitor.sign_in("root")
    yield "New chat"
    visitor.send("[[tokens:30]] one two three")
    expect(page.get_by_role("button", name="Copy reply")).to_have_count(1)
    yield "Chat with a reply"
    for place in PLACES[1:]:
        visitor.goes(place)
        expect(page.get_by_role("heading", level=1, name=place)).to_be_visible()
        yield place
    visitor.goes("Administration")
    for section in SECTIONS:
        goes(visitor, section)
        yield section


def test_nothing_is_cut_at_200_percent(visit: Visit, address: str) -> None:
    wide = visit(address, ZOOMED, device_scale_factor=2)
    for name in screens(wide):
        assert wide.page.evaluate(OVERFLOWS) == [], name
        assert faults(wide.page) == [], name
        wide.picture(name.lower().replace(" ", "-"))
        if "hat" in name:
            assert wide.chat.evaluate("(log) => log.clientHeight") > 100, name
            expect(wide.box).to_be_in_viewport(ratio=1)


def test_above_the_keyboard_of_a_phone_the_room_is_for_the_chat(visit: Visit, address: str) -> None:
    phone = visit(address, ViewportSize(width=390, height=420), has_touch=True, is_mobile=True).register("thumbs")
    phone.send("[[tokens:30]] one two three")
    expect(phone.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    phone.box.tap()
    expect(phone.page.get_by_role("navigation", name="Main")).to_be_hidden()
    assert phone.chat.evaluate("(log) => log.clientHeight") > 128
    phone.picture("chat")


def test_nothing_moves_for_people_who_want_no_motion(visit: Visit, address: str) -> None:
    calm = visit(address, ViewportSize(width=900, height=800), reduced_motion="reduce")
    for name in screens(calm):
        assert calm.page.evaluate(MOVES) == [], name


def test_what_is_chosen_is_seen_in_forced_colours(visit: Visit, address: str) -> None:
    ann = visit(address, forced_colors="active")
    ann.register("forced")
    page = ann.page
    for number in (1, 2):
        ann.press("New chat").send(f"[[tokens:3]] number {number}")
        expect(ann.messages).to_contain_text([f"number {number}"])
        expect(page.get_by_role("button", name="Copy reply")).to_have_count(1)
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    main, models = page.get_by_role("navigation", name="Main"), page.get_by_role("radiogroup", name="Model")
    differ(main.locator("[aria-current]"), main.get_by_role("link", name="History"))
    expect(ann.conversations).to_have_count(2)
    differ(ann.conversations.first, ann.conversations.last)
    differ(models.locator("label:has(:checked)"), models.locator("label:not(:has(:checked))"))
    pin = page.get_by_role("button", name="Pin this chat")
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "true")
    differ(pin, page.get_by_role("button", name="Rename this chat"))
    ann.picture("chat")
    expect(ann.goes("Credits").page.get_by_role("heading", level=1, name="Credits")).to_be_visible()
    assert faults(page) == []
    ann.picture("credits")


def differ(chosen: Locator, other: Locator) -> None:
    """Check that something chosen has another line, or other colours, than something that is not."""
    expect(chosen).to_be_visible()
    assert chosen.evaluate(EDGES) != other.evaluate(EDGES), chosen


def test_text_from_right_to_left_begins_at_the_right(visit: Visit, verbatim: str) -> None:
    sami = visit(verbatim).register("sami")
    sami.send("مرحبا بالعالم، كيف حالك اليوم؟\n\n- أولا\n- ثانيا")
    expect(sami.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    assert sami.messages.first.evaluate(BEGINS_AT) == "right"
    assert sami.replies.locator("p").first.evaluate(BEGINS_AT) == "right"
    assert sami.conversations.first.evaluate(BEGINS_AT) == "right"
    sami.send("Hello world")
    expect(sami.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    assert sami.replies.last.locator("p").evaluate(BEGINS_AT) == "left"
    sami.picture("chat")
