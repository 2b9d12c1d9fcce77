"""What arrives while one types or reads changes neither the focus nor the place, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@contextmanager
def late(visitor: Visitor, path: str, status: int | None = None) -> Iterator[None]:
    """Hold the answers of an address until this block ends, and wait until they have arrived, with a status at will."""
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright takes no builtin function
        held.append(route)

    visitor.page.route(path, hold)
    yield
    for _ in range(100):
        if held:
            break
        visitor.page.wait_for_timeout(50)
    with visitor.page.expect_response(path) as answer:
        for route in held:
            route.fulfill(status=status, json={"detail": "No"}) if status else route.continue_()
    answer.value.finished()
    visitor.page.unroute(path)
    visitor.page.wait_for_timeout(100)


def test_what_one_types_while_the_models_come_goes_into_the_box(visit: Visit, address: str) -> None:
    abel = visit(address).register("abel")
    mini = abel.page.get_by_role("radio", name="Demo mini")
    with late(abel, "**/web/chat/models*"):
        mini.focus()
        abel.page.evaluate("chatbill.emit('models', {})")
        abel.box.focus()
        abel.page.keyboard.type("One ")
    abel.page.keyboard.type("two")
    expect(abel.box).to_have_value("One two")
    mini.focus()
    with late(abel, "**/web/chat/models*"):
        abel.page.evaluate("chatbill.emit('models', {})")
    expect(mini).to_be_focused()


def test_what_one_types_while_the_list_comes_goes_into_the_box(visit: Visit, address: str) -> None:
    bert = visit(address).register("bert").send("Hello").sees_balance("99 credits")
    link = bert.conversations.first
    expect(link).to_be_visible()
    bert.page.wait_for_timeout(500)  # the list that was asked for by the message
    with late(bert, "**/web/chat/conversations?*"):
        link.focus()
        bert.page.evaluate("chatbill.emit('conversations', {})")
        bert.page.wait_for_timeout(400)
        bert.box.focus()
        bert.page.keyboard.type("One ")
    bert.page.keyboard.type("two")
    expect(bert.box).to_have_value("One two")
    link.focus()
    with late(bert, "**/web/chat/conversations?*"):
        bert.page.evaluate("chatbill.emit('conversations', {})")
    expect(link).to_be_focused()


def test_what_one_types_while_a_reply_is_written_again_goes_into_the_box(visit: Visit, address: str) -> None:
    cora = visit(address).register("cora").send("Hello").sees_balance("99 credits")
    with late(cora, "**/regenerate"):
        cora.page.get_by_role("button", name="Regenerate with Demo pro").click()
        cora.page.get_by_role("searchbox").focus()
        cora.page.keyboard.type("One ")
    cora.sees_balance("96 credits")
    cora.page.keyboard.type("two")
    expect(cora.page.get_by_role("searchbox")).to_have_value("One two")


def test_what_one_types_while_a_message_is_refused_stays_where_it_is(visit: Visit, address: str) -> None:
    dora = visit(address).register("dora").send("Hello").sees_balance("99 credits")
    dora.may_be_refused.add(422)
    with late(dora, "**/web/chat/messages"):
        dora.submit("x" * 200_000)
        dora.page.get_by_role("searchbox").focus()
        dora.page.keyboard.type("One ")
    expect(dora.page.locator("#cb-refused")).to_be_visible()
    dora.page.keyboard.type("two")
    expect(dora.page.get_by_role("searchbox")).to_have_value("One two")


def test_what_one_types_while_older_messages_come_goes_into_the_box(visit: Visit, address: str) -> None:
    elsa = visit(address).register("elsa").has_said("elsa", 22)
    with late(elsa, "**/older?*"):
        elsa.press("Older messages")
        elsa.box.focus()
        elsa.page.keyboard.type("One ")
    expect(elsa.messages).to_have_count(22)
    elsa.page.keyboard.type("two")
    expect(elsa.box).to_have_value("One two")


def test_the_focus_goes_to_the_chosen_model_when_another_one_is_in_trouble(visit: Visit, address: str) -> None:
    hugo = visit(address).register("hugo")

    def in_trouble(route: Route) -> None:
        html = route.fetch().text().replace(" checked", "")
        html = html.replace('value="demo-mini"', 'value="demo-mini" disabled')
        route.fulfill(body=html.replace('value="demo-pro"', 'value="demo-pro" checked'), content_type="text/html")

    hugo.page.get_by_role("radio", name="Demo mini").focus()
    hugo.page.route("**/web/chat/models*", in_trouble)
    hugo.page.evaluate("chatbill.emit('models', {})")
    expect(hugo.page.get_by_role("radio", name="Demo pro")).to_be_focused()


def test_the_focus_goes_to_the_box_when_the_button_that_had_it_is_hidden(visit: Visit, address: str) -> None:
    iris = visit(address).register("iris")
    iris.box.fill("Hello [[sleep:60]]")
    iris.press("Send")
    expect(iris.page.get_by_role("button", name="Send")).to_be_hidden()
    expect(iris.box).to_be_focused()
    iris.press("Stop")
    expect(iris.small_print).to_contain_text("stopped")


def test_the_list_stays_where_one_scrolls_to_while_it_comes(visit: Visit, address: str) -> None:
    frank = visit(address).register("frank")
    for count in (1, 2, 3):
        frank.press("New chat")
        frank.send(f"Number {count}")
        expect(frank.conversations).to_have_count(count)
    frank.page.wait_for_timeout(500)  # the list that was asked for by the last message
    chats = frank.page.locator("#cb-list")
    chats.evaluate("(list) => { list.style.flex = 'none'; list.style.height = '40px'; }")
    with late(frank, "**/web/chat/conversations?*"):
        frank.page.evaluate("chatbill.emit('conversations', {})")
        frank.page.wait_for_timeout(400)
        chats.evaluate("(list) => { list.scrollTop = 30; }")
    assert chats.evaluate("(list) => list.scrollTop") == 30
    frank.may_be_refused.add(503)
    with late(frank, "**/web/chat/conversations?*", status=503):
        frank.page.evaluate("chatbill.emit('conversations', {})")
        frank.page.wait_for_timeout(400)
    assert chats.evaluate("(list) => list.scrollTop") == 30


def test_a_chat_may_be_left_while_its_older_messages_come(visit: Visit, address: str) -> None:
    gina = visit(address).register("gina").has_said("gina", 22)
    with late(gina, "**/older?*"):
        gina.press("Older messages")
        gina.goes("Credits")
    gina.page.wait_for_timeout(200)  # the end of this test looks at the errors of the page
