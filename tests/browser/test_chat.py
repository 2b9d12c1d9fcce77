"""Branches, waiting messages, drafts and keys of the chat in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = ViewportSize(width=360, height=740)
STEADY = 5
"""So many tenths of a second without a change, and what a page fetches after a message has arrived."""
RICH = (
    "# Title\n\nSome **bold** text and `code`.\n\n```python\nif x:  # why\n    pass\n```\n\n"
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n$$\\frac{1}{2}$$ [[tokens:90]]"
)


def test_an_edited_message_begins_a_branch_and_both_can_be_read(visit: Visit, address: str) -> None:
    vera = visit(address).register("vera").send("First try").sees_balance("99 credits")
    vera.press("Edit")
    expect(vera.box).to_have_value("First try")
    expect(vera.page.get_by_text("You edit an earlier message.")).to_be_visible()
    vera.box.fill("Second try")
    vera.box.press("Enter")
    vera.sees_balance("98 credits")
    expect(vera.messages).to_have_text(["Second try"])
    versions = vera.chat.get_by_role("group", name="Versions")
    expect(versions).to_contain_text("2/2")
    vera.picture("branch")
    versions.get_by_role("link", name="Earlier version").click()
    expect(vera.messages).to_have_text(["First try"])
    expect(versions).to_contain_text("1/2")
    expect(versions.get_by_role("link", name="Later version")).to_be_focused()
    vera.page.reload()
    expect(vera.messages).to_have_text(["First try"])
    vera.send("After the first").sees_balance("97 credits")
    expect(vera.messages).to_have_text(["First try", "After the first"])


def test_a_reply_is_written_again_by_the_other_model(visit: Visit, address: str) -> None:
    walt = visit(address).register("walt").send("Who is it?").sees_balance("99 credits")
    walt.page.get_by_role("button", name="Regenerate with Demo pro").click()
    walt.sees_balance("96 credits")
    expect(walt.small_print).to_contain_text("Demo pro · 3 credits")
    expect(walt.chat.get_by_role("group", name="Versions")).to_contain_text("2/2")
    expect(walt.page.locator("#cb-about")).to_contain_text("4 credits in this chat")


def test_the_next_message_waits_for_the_reply_and_can_be_taken_back(visit: Visit, address: str) -> None:
    xena = visit(address).register("xena").send("Wait for me [[tokens:60]] [[pause:0.1]]")
    expect(xena.replies.first).to_contain_text("Wait")
    xena.send("Then this").send("Not this")
    expect(xena.page.get_by_text("will be sent after this reply")).to_have_count(2)
    xena.picture("waiting")
    xena.page.get_by_role("button", name="Do not send").last.click()
    xena.sees_balance("98 credits")
    expect(xena.messages).to_have_text(["Wait for me [[tokens:60]] [[pause:0.1]]", "Then this"])


def test_keys_choose_stop_edit_and_break_lines(visit: Visit, address: str) -> None:
    yves = visit(address).register("yves")
    mini = yves.page.get_by_role("radio", name="Demo mini · fast · 1 credit")
    expect(mini).to_be_checked()
    mini.press("ArrowRight")
    expect(yves.page.get_by_role("radio", name="Demo pro · thorough · 3 credits")).to_be_checked()
    yves.page.keyboard.press("ArrowLeft")
    yves.box.fill("One")
    yves.box.press("Shift+Enter")
    yves.page.keyboard.type("two [[tokens:400]] [[pause:0.1]]")
    yves.box.press("Enter")
    expect(yves.replies.first).to_contain_text("One two")
    yves.box.press("Escape")
    expect(yves.small_print).to_contain_text("stopped")
    expect(yves.page.locator("#cb-said")).to_have_text("Reply stopped, 1 credit")
    yves.box.press("ArrowUp")
    expect(yves.box).to_have_value("One\ntwo [[tokens:400]] [[pause:0.1]]")
    yves.box.press("Escape")
    expect(yves.box).to_have_value("")


def test_drafts_are_kept_for_each_conversation(visit: Visit, address: str) -> None:
    zoe = visit(address).register("zoe").send("Keep").sees_balance("99 credits")
    zoe.box.fill("Half a thought")
    zoe.press("New chat")
    expect(zoe.box).to_have_value("")
    zoe.box.fill("Another")
    zoe.conversations.first.click()
    expect(zoe.box).to_have_value("Half a thought")
    zoe.page.reload()
    expect(zoe.box).to_have_value("Half a thought")
    zoe.press("New chat")
    expect(zoe.box).to_have_value("Another")


def test_a_selection_survives_while_the_reply_grows(visit: Visit, address: str) -> None:
    abel = visit(address).register("abel").send("Think [[sleep:60]]")
    expect(abel.small_print).to_contain_text("writing…")
    grows = """([from, ended, open]) => {
      const turn = document.querySelector("article[data-running]");
      chatbill.emit("reply", { id: turn.dataset.id, conversation: chatbill.chat.conversation, from, ended, open });
    }"""
    chosen = abel.replies.first.locator("p", has_text="Choose")
    seen = 0
    while seen < STEADY:  # the page may still fetch the turn, in which the server knows no text
        if not chosen.count():
            seen = 0
            abel.page.evaluate(grows, [0, ["<p>Choose</p>"], "<p>thi</p>"])
        seen += 1
        abel.page.wait_for_timeout(100)
    chosen.evaluate("(p) => getSelection().selectAllChildren(p)")
    # What a page has already is not put in twice, and what is older than that is left out.
    abel.page.evaluate(grows, [0, ["<p>Choose</p>", "<p>this</p>"], "<p>te</p>"])
    abel.page.evaluate(grows, [0, ["<p>Choose</p>"], "<p>thi</p>"])
    abel.page.evaluate(grows, [2, [], "<p>text</p>"])
    expect(abel.replies.first).to_have_text("Choosethistext")
    assert abel.page.evaluate("getSelection().toString()") == "Choose"
    abel.press("Stop")
    expect(abel.small_print).to_contain_text("stopped")


def test_a_reader_who_scrolled_up_stays_there(visit: Visit, address: str) -> None:
    bela = visit(address, ViewportSize(width=900, height=420)).register("bela")
    bela.send("\n\n".join(f"Line {number}" for number in range(30))).sees_balance("99 credits")
    bela.send("More\n\nand more [[tokens:200]] [[pause:0.05]]")
    expect(bela.replies.last).to_contain_text("More")
    expect(bela.messages.last).to_be_in_viewport()
    bela.chat.evaluate("(log) => { log.scrollTop = 0; }")
    before = bela.replies.last.inner_text()
    expect(bela.replies.last).not_to_have_text(before)
    assert bela.chat.evaluate("(log) => log.scrollTop") == 0
    bela.press("Go to the end")
    expect(bela.replies.last).to_be_in_viewport()
    bela.press("Stop")


def test_all_of_a_long_conversation_can_be_read(visit: Visit, address: str) -> None:
    cora = visit(address).register("cora")
    cora.has_said("cora", 25)
    expect(cora.messages).to_have_count(20)
    expect(cora.messages.last).to_be_in_viewport()
    cora.press("Older messages")
    expect(cora.messages).to_have_count(25)
    expect(cora.messages.first).to_have_text("Number 0 [[tokens:1]]")
    expect(cora.page.get_by_role("button", name="Older messages")).to_have_count(0)


def test_the_price_of_a_reply_is_explained(visit: Visit, address: str) -> None:
    dora = visit(address).register("dora").send("Why?").sees_balance("99 credits")
    expect(dora.page.locator("#cb-said")).to_have_text("Reply finished, 1 credit")
    dora.page.get_by_text("Why this price").click()
    expect(dora.page.get_by_text("balance after it 99 credits")).to_be_visible()


@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_chat_has_no_faults_of_accessibility(
    visit: Visit, address: str, color_scheme: str, viewport: ViewportSize | None
) -> None:
    window = {"viewport": viewport} if viewport else {}
    name = f"elsa{color_scheme}{'small' if viewport else ''}"
    elsa = visit(address, color_scheme=color_scheme, **window).register(name)
    elsa.picture(f"{color_scheme}-1-first")
    assert faults(elsa.page) == []
    elsa.send(RICH)
    expect(elsa.page.get_by_role("button", name="Copy reply")).to_be_visible()
    elsa.page.get_by_text("Why this price").click()
    expect(elsa.page.get_by_text("balance after it")).to_be_visible()
    elsa.box.fill("And then?")
    expect(elsa.page.get_by_role("status", name="Cost of this message")).to_contain_text("up to 1 credit")
    elsa.picture(f"{color_scheme}-2-reply")
    assert faults(elsa.page) == []
    assert elsa.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
