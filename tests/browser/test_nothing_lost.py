"""What people write is neither lost nor shown to others, and a reply that has ended is shown as ended."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_draft_is_not_shown_to_the_next_person_of_the_browser(visit: Visit, address: str) -> None:
    ann = visit(address).register("drafter")
    ann.box.fill("a secret draft")
    ann.sign_out()
    expect(ann.page.get_by_role("tab", name="Sign in")).to_be_visible()
    bob = ann.register("successor")
    expect(bob.box).to_have_value("")


def test_a_tab_of_an_earlier_person_tells_nothing_to_the_next_one(visit: Visit, address: str) -> None:
    ann = visit(address).register("earlier")
    ann.send("hello").sees_balance("99 credits")
    other = ann.sign_out_elsewhere()
    Visitor(other, address, prefix="later").register("later")
    expect(other.get_by_role("status", name="Balance")).to_have_text("100 credits")
    other.wait_for_timeout(2_000)
    expect(other.get_by_role("status", name="Balance")).to_have_text("100 credits")
    ann.may_be_refused = {401}


def test_a_message_that_is_being_sent_survives_a_reload_and_is_sent_once(visit: Visit, address: str) -> None:
    ann = visit(address).register("reloader")
    asked: list[str] = []

    def swallow(route: Route) -> None:
        route.fetch()  # it arrives, and its answer is lost
        asked.append(route.request.post_data or "")

    ann.page.route("**/web/chat/messages", swallow, times=1)
    ann.box.fill("do not lose me")
    ann.box.press("Enter")
    expect(ann.chat.get_by_text("do not lose me").first).to_be_visible()
    ann.page.wait_for_function("sessionStorage.getItem('cb-sending:')")
    while not asked:
        ann.page.wait_for_timeout(50)
    ann.page.reload()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.chat.locator("article[data-id]")).to_have_count(1)
    ann.sees_balance("99 credits")


def test_a_message_that_is_edited_while_its_reply_is_written_stops_that_reply(visit: Visit, address: str) -> None:
    ann = visit(address).register("editor")
    ann.send("[[pause:0.2]] [[tokens:100]] the first wording")
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect(ann.chat.get_by_text("wording").last).to_be_visible()
    ann.page.get_by_role("button", name="Edit", exact=True).click()
    ann.box.fill("[[tokens:5]] the second")
    ann.box.press("Enter")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    ann.goes("History")
    expect(ann.page.get_by_role("table", name="History")).to_contain_text("stopped")


def test_a_reply_whose_end_was_not_heard_is_shown_as_ended(visit: Visit, address: str) -> None:
    ann = visit(address).register("deaf")
    ann.send("[[pause:0.1]] [[tokens:30]] slowly")
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    ann.page.evaluate("source.close()")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()


def test_messages_that_wait_are_all_sent_one_after_the_other(visit: Visit, address: str) -> None:
    ann = visit(address).register("queuer")
    for number in range(4):
        ann.send(f"[[tokens:2]] number {number}")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(4)
    ann.sees_balance("96 credits")


def test_an_edited_message_without_credits_is_sent_after_a_purchase(visit: Visit, poor_address: str) -> None:
    ann = visit(poor_address).register("poor.editor")
    ann.may_be_refused = {402}
    for number in (1, 2):
        ann.send(f"[[tokens:3]] number {number}")
        expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(number)
    ann.page.get_by_role("button", name="Edit", exact=True).last.click()
    ann.box.fill("[[tokens:3]] another wording")
    ann.box.press("Enter")
    ann.page.locator("#cb-refused").get_by_role("button", name="Add credits").click()
    ann.press("Continue").press("Confirm")
    ann.page.get_by_role("dialog").get_by_role("link", name="Send your message").click()
    expect(ann.chat.get_by_text("another wording").first).to_be_visible()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    expect(ann.chat.get_by_text("2/2").first).to_be_visible()


def test_a_half_typed_edit_is_there_after_other_views(visit: Visit, address: str) -> None:
    ann = visit(address).register("half.editor")
    ann.send("[[tokens:3]] the first wording")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    ann.box.fill("the next message")
    ann.page.get_by_role("button", name="Edit", exact=True).click()
    ann.box.fill("half of a better wo")
    ann.goes("Credits")
    ann.page.go_back()
    for _ in range(2):
        expect(ann.box).to_have_value("half of a better wo")
        expect(ann.page.get_by_text("You edit an earlier message.")).to_be_visible()
        ann.page.reload()
    expect(ann.box).to_have_value("half of a better wo")
    ann.page.get_by_role("button", name="Cancel", exact=True).click()
    expect(ann.box).to_have_value("the next message")


def test_a_message_that_waited_and_was_refused_stays_in_its_place(visit: Visit, poor_address: str) -> None:
    ann = visit(poor_address).register("poor.queuer")
    ann.may_be_refused = {402}
    ann.send("[[pause:0.3]] [[tokens:6]] the first")
    for text in ("the second", "the third", "the fourth"):
        ann.send(f"[[tokens:2]] {text}")
    ann.box.fill("a draft")
    refused = ann.chat.locator(".cb-queued", has_text="the third")
    expect(refused.get_by_role("button", name="Send again")).to_be_visible()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    expect(ann.box).to_have_value("a draft")
    ann.picture("refused")
    ann.page.reload()
    expect(ann.box).to_have_value("a draft")
    expect(refused).to_contain_text("credits")
    ann.goes("Credits").press("Add credits").press("Continue").press("Confirm")
    expect(ann.page.get_by_role("status", name="Balance")).not_to_have_text("0 credits")
    ann.page.go_back()
    refused.get_by_role("button", name="Send again").click()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(4)
    expect(ann.messages.last).to_contain_text("the fourth")
    expect(ann.box).to_have_value("a draft")


def test_the_link_to_the_content_leads_to_it(visit: Visit, address: str) -> None:
    ann = visit(address).register("skipper")
    ann.page.goto(f"{address}/ui/credits")
    expect(ann.page.get_by_role("heading", level=1, name="Credits")).to_be_visible()
    ann.page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(ann.page.locator("#cb-view")).to_be_focused()
    expect(ann.page.get_by_role("heading", level=1, name="Credits")).to_be_visible()
