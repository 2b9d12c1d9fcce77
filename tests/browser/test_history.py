"""The view of the history in a real Chromium."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Visit
from tests.browser.test_credits import client_of, fits, opened
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def wrote(visitor: Visitor, address: str, name: str, *texts: str) -> Visitor:
    """Register, send these messages by the API, and open the history."""
    visitor.register(name)
    with client_of(address, name) as client:
        for text in texts:
            client.post("/chat/message", json={"model": "demo-mini", "message": text})
    return opened(visitor, "History")


def messages(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("table", name="History").locator("tbody tr:not(.cb-more)")


def test_whole_texts_are_shown_and_hidden_with_the_keyboard(visit: Visit, address: str) -> None:
    anton = wrote(visit(address), address, "anton", "Line one\nline **two**")
    expect(messages(anton)).to_have_count(1)
    show = anton.page.get_by_role("button", name="Show Line one line **two**")
    expect(show).to_have_attribute("aria-expanded", "false")
    show.focus()
    anton.page.keyboard.press("Enter")
    expect(show).to_have_attribute("aria-expanded", "true")
    expect(anton.page.locator(".cb-texts strong")).to_have_text("two")
    expect(anton.page.locator(".cb-texts .cb-plain")).to_have_text("Line one\nline **two**")
    expect(show).to_be_focused()
    anton.page.keyboard.press("Enter")
    expect(show).to_have_attribute("aria-expanded", "false")
    expect(anton.page.locator(".cb-texts")).to_have_count(0)


def test_the_history_is_filtered_exported_and_leads_to_the_message(visit: Visit, address: str) -> None:
    boris = wrote(visit(address), address, "boris", "About tides", "About the moon", "Break [[fail:before]]")
    expect(messages(boris)).to_have_count(3)
    search = boris.page.get_by_role("searchbox", name="Text")
    search.fill("ABOUT")
    search.press("Enter")
    expect(messages(boris)).to_have_count(2)
    expect(search).to_be_focused()
    assert boris.page.url.endswith("/ui/history?q=ABOUT")
    with boris.page.expect_download() as download:
        boris.page.get_by_role("link", name="JSON").click()
    items = json.loads(download.value.path().read_text())["items"]
    assert [item["prompt"] for item in items] == ["About the moon", "About tides"]
    boris.page.get_by_role("link", name="Show all").click()
    # The list comes with its form, which then is empty.
    expect(messages(boris)).to_have_count(3)
    boris.page.get_by_label("Outcome").select_option("failed")
    boris.press("Filter")
    expect(messages(boris)).to_have_count(1)
    boris.page.go_back()
    expect(messages(boris)).to_have_count(3)
    boris.page.get_by_role("link", name="About tides").click()
    expect(boris.chat).to_contain_text("About tides")


def test_older_messages_are_on_the_next_page(visit: Visit, address: str) -> None:
    clara = wrote(visit(address), address, "clara", *(f"Message {number}" for number in range(22)))
    expect(messages(clara)).to_have_count(20)
    clara.page.get_by_role("link", name="Older").click()
    expect(messages(clara)).to_have_count(2)
    expect(messages(clara).last).to_contain_text("Message 0")
    clara.page.get_by_role("link", name="Newest").click()
    expect(messages(clara).first).to_contain_text("Message 21")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 360])
def test_the_view_has_no_fault_of_accessibility_and_fits(
    visit: Visit, address: str, width: int, color_scheme: str
) -> None:
    dmitri = visit(address, ViewportSize(width=width, height=844), color_scheme)
    long = "A long one that goes on and on until it does not fit on a line of any screen, whatever its width is"
    wrote(dmitri, address, f"dmitri{width}{color_scheme}", "Short", long, "Break [[fail:before]]", "مرحبا")
    dmitri.page.get_by_role("button", name="Show A long one").click()
    expect(dmitri.page.locator(".cb-texts .cb-plain")).to_be_in_viewport()
    dmitri.picture("1-history")
    assert faults(dmitri.page) == []
    assert fits(dmitri)
    opened(dmitri, "Credits")
    opened(dmitri, "History").page.get_by_role("searchbox", name="Text").fill("nothing like it")
    dmitri.press("Filter")
    expect(dmitri.page.get_by_text("Nothing was found.")).to_be_visible()
    assert faults(dmitri.page) == []
