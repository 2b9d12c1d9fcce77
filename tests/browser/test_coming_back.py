"""A page that is reloaded, closed or opened elsewhere: its reply goes on, and its address names its conversation."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.kit.support import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WORDS = 150
COUNT = f"Count with me [[tokens:{WORDS}]] [[pause:0.1]]"
WHOLE = " ".join(("Count with me " * WORDS).split()[:WORDS])
LONG = "Go on for long [[tokens:500]] [[pause:0.1]]"
CHARGED = re.compile(r"^Demo mini · 1 credit · \d+\.\d s$")


def beside(visitor: Visitor) -> Page:
    """Open what a tab shows in another tab of the same browser."""
    tab = visitor.page.context.new_page()
    visitor.watch(tab)
    tab.goto(visitor.is_named().page.url)
    return tab


def reply_in(page: Page) -> Locator:
    return page.get_by_role("log").locator(".cb-md").first


def small_print_in(page: Page) -> Locator:
    return page.get_by_role("log").locator(".cb-replied .cb-aside")


def longer_than(text: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*{text.strip()}\s+\w")


def sees_it_grow_and_complete(page: Page) -> None:
    """Expect less than the whole reply first, then the whole."""
    expect(reply_in(page)).to_contain_text("Count with me")
    expect(small_print_in(page)).to_have_text("Demo mini · writing…")
    begun = reply_in(page).inner_text().strip()
    assert len(begun) < len(WHOLE)
    expect(reply_in(page)).to_have_text(longer_than(begun))
    expect(small_print_in(page)).to_have_text(CHARGED)
    expect(reply_in(page)).to_have_text(WHOLE)


def test_a_reply_goes_on_while_its_page_is_reloaded(visit: Visit, address: str) -> None:
    anton = visit(address).register("anton").send(COUNT)
    expect(anton.is_named().replies.first).to_contain_text("Count with me")
    anton.page.reload()
    sees_it_grow_and_complete(anton.page)
    anton.sees_balance("99 credits").send("And again").sees_balance("98 credits")


def test_a_reply_goes_on_while_its_page_is_closed(visit: Visit, address: str) -> None:
    bert = visit(address).register("bert").send(COUNT)
    expect(bert.replies.first).to_contain_text("Count with me")
    context, place = bert.page.context, bert.is_named().page.url
    bert.page.close()
    bert.page = context.new_page()
    bert.watch(bert.page)
    bert.page.goto(place)
    sees_it_grow_and_complete(bert.page)
    bert.sees_balance("99 credits")


def test_a_page_closed_for_good_leaves_a_whole_reply(visit: Visit, address: str) -> None:
    cleo = visit(address).register("cleo").send("Short [[tokens:12]] [[pause:0.1]]")
    expect(cleo.replies.first).to_contain_text("Short Short")
    place = cleo.is_named().page.url
    cleo.page.goto("about:blank")
    cleo.page.wait_for_timeout(3_000)
    cleo.page.goto(place)
    expect(cleo.replies.first).to_have_text("Short " * 11 + "Short")
    expect(cleo.small_print).to_have_text(CHARGED)
    cleo.sees_balance("99 credits")


def test_another_device_sees_the_reply_grow_and_can_stop_it(visit: Visit, address: str) -> None:
    delia = visit(address).register("delia").send(LONG)
    expect(delia.replies.first).to_contain_text("Go on for long")
    phone = visit(address).arrive().sign_in("delia")
    phone.conversations.first.click()
    expect(phone.replies.first).to_contain_text("Go on for long")
    expect(phone.replies.first).to_have_text(longer_than(phone.replies.first.inner_text()))
    phone.press("Stop")
    for device in (phone, delia):
        expect(device.small_print).to_contain_text("stopped")
        device.sees_balance("99 credits")
    assert phone.replies.first.inner_text() == delia.replies.first.inner_text()


def test_a_second_tab_sees_the_reply_grow_and_complete(visit: Visit, address: str) -> None:
    emil = visit(address).register("emil").send(COUNT)
    expect(emil.replies.first).to_contain_text("Count with me")
    second = beside(emil)
    sees_it_grow_and_complete(second)
    expect(emil.small_print).to_have_text(CHARGED)
    second.get_by_role("textbox", name="Message").fill("From the second tab")
    second.get_by_role("textbox", name="Message").press("Enter")
    expect(second.get_by_label("Balance")).to_have_text("98 credits")
    second.close()


def test_a_conversation_can_be_left_while_a_reply_is_written(visit: Visit, address: str) -> None:
    fina = visit(address).register("fina").send(COUNT)
    expect(fina.replies.first).to_contain_text("Count with me")
    fina.press("New chat")
    expect(fina.chat).not_to_contain_text("Count with me")
    fina.send("Meanwhile")
    expect(fina.small_print).to_have_text(CHARGED)
    expect(fina.chat).not_to_contain_text("Count with me")
    fina.page.get_by_role("link", name="Count with me").click()
    sees_it_grow_and_complete(fina.page)
    fina.sees_balance("98 credits")


def test_the_address_names_the_open_conversation(visit: Visit, address: str) -> None:
    gero = visit(address).register("gero").send("First subject").sees_balance("99 credits")
    first = gero.is_named().page.url
    gero.press("New chat")
    expect(gero.page).to_have_url(f"{address}/ui/")
    gero.page.reload()
    expect(gero.box).to_be_enabled()
    expect(gero.chat).not_to_contain_text("First subject")
    gero.send("Second subject").sees_balance("98 credits")
    second = gero.is_named().page.url
    gero.page.get_by_role("link", name="First subject").click()
    expect(gero.page).to_have_url(first)
    gero.page.reload()
    expect(gero.chat).to_contain_text("First subject")
    current = gero.page.locator("#cb-list [aria-current]")
    expect(current).to_have_text("First subject")
    for move, url, subject in (
        (gero.page.go_back, second, "Second subject"),
        (gero.page.go_forward, first, "First subject"),
        (gero.page.go_back, second, "Second subject"),
    ):
        move()
        expect(gero.page).to_have_url(url)
        expect(gero.chat).to_contain_text(subject)
        expect(current).to_have_text(subject)
    gero.send("More of the second").sees_balance("97 credits")
    expect(gero.chat).to_contain_text("Second subject")


def test_an_address_leads_to_its_conversation_after_signing_in(visit: Visit, address: str) -> None:
    hugo = visit(address).register("hugo").send("First subject").sees_balance("99 credits")
    kept = hugo.is_named().page.url
    hugo.press("New chat").send("Second subject").sees_balance("98 credits")
    phone = visit(address)
    phone.page.goto(kept)
    phone.sign_in("hugo")
    expect(phone.chat).to_contain_text("First subject")
    expect(phone.page).to_have_url(kept)


@pytest.mark.parametrize("named", ["another's", "nothing"])
def test_an_address_of_no_own_conversation_is_explained(visit: Visit, address: str, named: str) -> None:
    suffix = "a" if named == "nothing" else "b"
    inga = visit(address).register(f"inga{suffix}").send("A secret of Inga").sees_balance("99 credits").is_named()
    mallory = visit(address).register(f"mallory{suffix}").send("My own").sees_balance("99 credits")
    mallory.may_be_refused = {404}
    mallory.page.goto(inga.page.url if named == "another's" else f"{address}/ui/c/0190-<b>nothing")
    expect(mallory.page.get_by_role("alert").filter(has_text="nothing at this address")).to_be_visible()
    mallory.picture("explained")
    mallory.page.get_by_role("link", name="Chat", exact=True).click()
    mallory.send("A fresh start").sees_balance("98 credits")
    expect(mallory.chat).not_to_contain_text("A secret")
    expect(mallory.conversations).to_have_count(2)


def test_more_than_a_hundred_conversations_can_be_reached(visit: Visit, address: str) -> None:
    jona = visit(address).register("jona")
    with httpx.Client(base_url=address) as api:
        token = api.post("/auth/login", json={"username": "jona", "password": PASSWORD}).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        api.post("/billing/add", json={"package": "small"}).raise_for_status()
        for number in range(105):
            message = {"model": "demo-mini", "message": f"Number {number} [[tokens:1]]"}
            api.post("/chat/message", json=message).raise_for_status()
    jona.page.reload()
    expect(jona.conversations).to_have_count(40)
    for count in (80, 105):
        jona.press("Older chats")
        expect(jona.conversations).to_have_count(count)
    jona.picture("older")
    expect(jona.page.get_by_role("button", name="Older chats")).to_have_count(0)
    expect(jona.page.get_by_role("heading", name="Today")).to_have_count(1)
    jona.conversations.last.click()
    expect(jona.messages).to_have_text(["Number 0 [[tokens:1]]"])
    jona.page.reload()
    expect(jona.messages).to_have_text(["Number 0 [[tokens:1]]"])
