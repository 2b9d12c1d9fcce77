"""Messages whose answers are lost or late: each is sent and charged once, and its text goes where it belongs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Route, expect

from tests.browser.conftest import Visit
from tests.browser.test_temporary import STORED
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MESSAGES = "**/web/chat/messages"


def loses_answer(route: Route) -> None:
    route.fetch()
    route.abort()


def held_by(visitor: Visitor) -> list[Route]:
    """Hold the next message on its way to the service, and return a list for it."""
    held: list[Route] = []
    visitor.page.route(MESSAGES, lambda route: route.continue_() if held else held.append(route))
    return held


def held_of(visitor: Visitor, held: list[Route]) -> Route:
    """Wait for the message that is held."""
    while not held:
        visitor.page.wait_for_timeout(50)
    return held[0]


def test_a_message_that_waited_and_whose_answer_was_lost_is_charged_once(visit: Visit, address: str) -> None:
    ann = visit(address).register("unsure")
    ann.send("[[pause:0.2]] [[tokens:10]] the first")
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    ann.page.route(MESSAGES, loses_answer)
    ann.send("[[tokens:2]] the second")
    again = ann.page.get_by_role("button", name="Send again")
    expect(again).to_be_visible()
    ann.page.unroute(MESSAGES)
    again.click()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    expect(ann.messages).to_have_count(2)
    ann.sees_balance("98 credits")


def test_a_message_that_is_sent_out_of_sight_survives_a_reload(visit: Visit, address: str) -> None:
    ann = visit(address).register("away")
    ann.send("[[pause:0.2]] [[tokens:10]] the first")
    expect(ann.conversations).to_have_count(1)
    ann.send("[[tokens:2]] the second")
    expect(ann.chat.locator(".cb-queued")).to_have_count(1)
    tried: list[str] = []

    def refuse(route: Route) -> None:
        tried.append(route.request.url)
        route.abort()

    ann.page.route(MESSAGES, refuse)
    ann.goes("Credits")
    while not tried:
        ann.page.wait_for_timeout(50)
    ann.page.unroute(MESSAGES)
    ann.page.reload()
    ann.goes("Chat")
    ann.conversations.first.click()
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    ann.sees_balance("98 credits")


def test_a_message_on_its_way_when_another_chat_begins_survives_a_reload(visit: Visit, address: str) -> None:
    ann = visit(address).register("two.chats").send("[[tokens:2]] the first")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    held = held_by(ann)
    ann.submit("[[tokens:2]] the second")
    held_of(ann, held)
    ann.press("New chat").send("[[tokens:2]] elsewhere")
    expect(ann.conversations).to_have_count(2)
    ann.page.reload()
    ann.follow(ann.conversations.last)
    expect(ann.messages).to_have_text(["[[tokens:2]] the first", "[[tokens:2]] the second"])
    ann.sees_balance("97 credits")


def test_a_new_chat_does_not_show_the_first_message_of_another_one_that_is_on_its_way(
    visit: Visit, address: str
) -> None:
    ann = visit(address).register("hasty")
    held = held_by(ann)
    ann.submit("[[tokens:2]] the first")
    held_of(ann, held)
    ann.press("New chat")
    expect(ann.chat.get_by_text("the first")).to_have_count(0)
    ann.send("[[tokens:2]] elsewhere")
    expect(ann.messages).to_have_text(["[[tokens:2]] elsewhere"])
    held[0].continue_()
    expect(ann.conversations).to_have_count(2)
    expect(ann.messages).to_have_text(["[[tokens:2]] elsewhere"])
    ann.sees_balance("98 credits")
    ann.follow(ann.conversations.filter(has_text="the first"))
    expect(ann.messages).to_have_text(["[[tokens:2]] the first"])


def test_a_message_that_is_sent_when_the_session_has_ended_is_in_the_box_again(visit: Visit, address: str) -> None:
    ann = visit(address).register("ended").hear_nothing()
    ann.may_be_refused = {401}
    ann.sign_out_elsewhere()
    ann.submit("do not lose me")
    ann.sign_in("ended")
    expect(ann.box).to_have_value("do not lose me")
    ann.sees_balance("100 credits")


def test_an_edit_takes_the_place_of_a_message_whose_reply_ends_meanwhile(visit: Visit, address: str) -> None:
    ann = visit(address).register("late.edit").send("[[tokens:2]] the first")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    ann.send("[[pause:0.2]] [[tokens:100]] the second")
    ann.page.get_by_role("button", name="Edit", exact=True).last.click()
    held = held_by(ann)
    ann.submit("[[tokens:2]] a better one")
    expect(ann.small_print.last).to_contain_text("stopped")
    held_of(ann, held).continue_()
    expect(ann.messages).to_have_text(["[[tokens:2]] the first", "[[tokens:2]] a better one"])


def test_sending_an_edit_brings_the_draft_back(visit: Visit, address: str) -> None:
    ann = visit(address).register("edit.draft")
    ann.send("[[tokens:3]] the first wording")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    ann.box.fill("the next message")
    ann.page.get_by_role("button", name="Edit", exact=True).click()
    ann.send("[[tokens:3]] a better wording")
    expect(ann.messages).to_have_text(["[[tokens:3]] a better wording"])
    expect(ann.box).to_have_value("the next message")


def test_a_temporary_chat_that_is_ended_while_its_message_is_sent_leaves_no_text(visit: Visit, address: str) -> None:
    ann = visit(address).register("ender")
    ann.page.get_by_role("switch", name="Temporary chat").check()
    ann.page.route(MESSAGES, lambda route: route.abort())
    ann.submit("a secret")
    expect(ann.chat.get_by_text("a secret").first).to_be_visible()
    expect(ann.chat.get_by_text("Trying again")).to_be_visible()
    ann.press("New chat")
    expect(ann.page.get_by_role("switch", name="Temporary chat")).not_to_be_checked()
    ann.page.wait_for_timeout(11_000)  # until the tries have ended
    assert "secret" not in ann.page.evaluate(STORED)
    expect(ann.box).to_have_value("")
    expect(ann.chat.get_by_text("a secret")).to_have_count(0)


def test_the_switch_stays_while_an_ordinary_message_is_sent(visit: Visit, address: str) -> None:
    ann = visit(address).register("switcher")
    held = held_by(ann)
    ann.submit("[[tokens:2]] an ordinary message")
    expect(ann.chat.get_by_text("sending…")).to_be_visible()
    ann.page.get_by_role("switch", name="Temporary chat").click()
    held_of(ann, held).continue_()
    expect(ann.conversations).to_have_count(1)
    assert ann.page.evaluate("sessionStorage.getItem('cb-sending:')") is None


def test_what_waits_in_a_temporary_chat_stays_behind_the_reply_when_one_returns(visit: Visit, address: str) -> None:
    ann = visit(address).register("returner")
    ann.page.get_by_role("switch", name="Temporary chat").check()
    ann.send("[[tokens:2]] the first")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    ann.send("[[pause:0.3]] [[tokens:30]] the second")
    expect(ann.messages).to_have_count(2)
    ann.send("[[tokens:2]] the third")
    expect(ann.chat.locator(".cb-queued")).to_have_count(1)
    sent: list[str] = []
    ann.page.on("request", lambda asked: sent.append(asked.post_data or "") if "chat/messages" in asked.url else None)
    ann.goes("Credits")
    ann.goes("Chat")
    expect(ann.chat.locator("article[data-id]")).to_have_count(2)
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(3)
    assert "the second" in sent[0], sent


def test_a_temporary_reply_whose_end_was_not_heard_is_shown(visit: Visit, address: str) -> None:
    ann = visit(address).register("asleep")
    ann.page.get_by_role("switch", name="Temporary chat").check()
    ann.hear_nothing().send("[[pause:0.1]] [[tokens:10]] one two three four five six seven eight nine ten")
    expect(ann.page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    ann.goes("Credits")
    ann.sees_balance("100 credits").page.wait_for_timeout(3_000)
    ann.page.evaluate("last = ''; begin()")
    ann.goes("Chat")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    expect(ann.replies.last).to_contain_text("three")


def test_a_temporary_chat_does_not_stay_on_the_page_after_sign_out_in_another_tab(visit: Visit, address: str) -> None:
    ann = visit(address).register("leaver")
    ann.may_be_refused = {401}
    ann.page.get_by_role("switch", name="Temporary chat").check()
    ann.send("[[tokens:3]] a secret")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    ann.page.on("dialog", stay)
    ann.sign_out_elsewhere()
    expect(ann.page.get_by_role("tab", name="Sign in")).to_be_visible()
    assert not asked
