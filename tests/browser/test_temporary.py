"""The temporary chat, whose texts are on the page alone, and pinned conversations."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, expect

from tests.browser.axe import faults
from tests.browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STORED = "JSON.stringify([{...sessionStorage}, {...localStorage}])"


def test_a_temporary_chat_goes_on_while_the_page_is_open_and_leaves_no_text(visit: Visit, address: str) -> None:
    ann = visit(address).register("brief")
    ann.box.fill("a secret draft")
    expect(ann.page.get_by_role("status", name="Cost of this message")).to_contain_text("you have")
    ann.page.get_by_role("switch", name="Temporary chat").check()
    expect(ann.page.get_by_text("This chat is gone when you reload")).to_be_visible()
    expect(ann.page.get_by_role("heading", level=1, name="Temporary chat")).to_be_visible()
    assert not faults(ann.page)
    ann.picture("begun")
    ann.send("[[tokens:6]] my secret number")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.page.get_by_role("switch", name="Temporary chat")).to_be_hidden()
    ann.send("[[tokens:8]] and another secret").sees_balance("98 credits")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    expect(ann.replies.first).to_contain_text("secret")
    expect(ann.page.get_by_role("button", name="Regenerate")).to_have_count(0)
    ann.picture("written")
    assert "secret" not in ann.page.evaluate(STORED)
    assert ann.page.url == f"{address}/ui/"
    ann.goes("History")
    expect(ann.page.get_by_text("the texts were not stored")).to_have_count(2)
    ann.picture("history")
    ann.goes("Chat")
    expect(ann.messages).to_have_text(["[[tokens:6]] my secret number", "[[tokens:8]] and another secret"])
    expect(ann.replies.last).to_contain_text("secret")
    warned: list[str] = []

    def leave(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.accept()

    ann.page.on("dialog", leave)
    ann.page.reload()
    expect(ann.box).to_be_enabled()
    assert warned == ["beforeunload"]
    expect(ann.messages).to_have_count(0)
    expect(ann.conversations).to_have_count(0)


def test_a_new_chat_ends_the_temporary_one(visit: Visit, address: str) -> None:
    ann = visit(address).register("brief.end")
    ann.page.get_by_role("switch", name="Temporary chat").check()
    ann.send("[[tokens:3]] gone soon")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    ann.press("New chat")
    expect(ann.messages).to_have_count(0)
    ann.send("[[tokens:3]] here to stay")
    expect(ann.conversations).to_have_count(1)
    expect(ann.page.get_by_role("switch", name="Temporary chat")).to_have_count(0)


def test_a_pinned_chat_comes_first(visit: Visit, address: str) -> None:
    ann = visit(address).register("pinner")
    for number in (1, 2):
        ann.press("New chat").send(f"[[tokens:2]] number {number}")
        expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.conversations).to_have_count(2)
    ann.follow(ann.conversations.last)
    pin = ann.page.get_by_role("button", name="Pin this chat")
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "true")
    expect(pin).to_be_focused()
    expect(ann.page.get_by_role("heading", name="Pinned")).to_be_visible()
    expect(ann.conversations.first).to_contain_text("number 1")
    ann.picture("pinned")
    ann.page.reload()
    expect(pin).to_have_attribute("aria-pressed", "true")
    pin.click()
    expect(ann.conversations.first).to_contain_text("number 2")
