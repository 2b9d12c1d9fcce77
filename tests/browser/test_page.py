"""The page in a real Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, ViewportSize, expect

from tests.browser.conftest import Visit, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG = "Count with me [[tokens:400]] [[pause:0.1]]"


def test_a_new_user_registers_and_pays_for_replies_of_both_models(visit: Visit, address: str) -> None:
    alice = visit(address).register("alice").sees_balance("100 credits")
    alice.picture("1-signed-in")
    alice.box.fill("Tell me about tides [[tokens:40]] [[pause:0.1]]")
    expect(alice.page.get_by_role("status", name="Cost of this message")).to_have_text("up to 1 credit, you have 100")
    alice.box.press("Enter")
    expect(alice.small_print).to_have_text("Demo mini · writing…")
    alice.picture("2-writing")
    alice.sees_balance("99 credits")
    expect(alice.small_print).to_have_text(re.compile(r"Demo mini · 1 credit · [3-9]\.\d s"))
    expect(alice.replies.first).to_contain_text("Tell me about tides Tell me")
    expect(alice.box).to_have_value("")
    alice.choose("Demo pro").send("And about the moon").sees_balance("96 credits")
    expect(alice.small_print.last).to_contain_text("Demo pro · 3 credits")
    alice.picture("3-charged")


def test_a_long_reply_can_be_stopped_and_costs_its_price(visit: Visit, address: str) -> None:
    bob = visit(address).register("bob").send(LONG)
    expect(bob.replies.first).to_contain_text("Count with me")
    expect(bob.page.get_by_role("button", name="Send")).to_be_hidden()
    bob.press("Stop").sees_balance("99 credits")
    expect(bob.small_print).to_contain_text("stopped")
    expect(bob.page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(bob.box).to_be_focused()
    bob.send("Short").sees_balance("98 credits")


def test_a_reply_stopped_before_its_first_word_is_free(visit: Visit, address: str) -> None:
    carol = visit(address).register("carol").send("Think [[sleep:60]]").press("Stop")
    expect(carol.small_print).to_have_text(re.compile(r"Demo mini · 0 credits · \d+\.\d s · stopped"))
    carol.sees_balance("100 credits")


@pytest.mark.parametrize("trouble", ["[[fail:before]]", "[[fail:after:3]]", "[[oom]]"])
def test_a_failure_is_explained_and_free(visit: Visit, address: str, trouble: str) -> None:
    name = "dave" + "".join(filter(str.isalnum, trouble))
    dave = visit(address).register(name).send(f"Break {trouble}")
    expect(dave.chat.get_by_role("alert")).to_contain_text("nothing was charged")
    dave.sees_balance("100 credits").picture("failed")
    dave.send("Again").sees_balance("99 credits")


def test_a_message_without_credits_is_kept_and_sent_after_a_purchase(visit: Visit, poor_address: str) -> None:
    erin = visit(poor_address).register("erin").sees_balance("2 credits")
    erin.may_be_refused = {402}
    erin.choose("Demo pro").send("Think hard")
    expect(erin.page.get_by_role("alert").filter(has_text="This needs up to 3 credits and you have 2")).to_be_visible()
    expect(erin.box).to_have_value("Think hard")
    expect(erin.page.get_by_text("Your message is kept.")).to_be_visible()
    erin.picture("1-refused")
    erin.press("Add credits")
    expect(erin.page.get_by_role("dialog", name="Add credits")).to_be_visible()
    erin.press("Continue")
    erin.picture("2-confirm")
    erin.page.get_by_role("button", name="Confirm").dblclick()
    erin.sees_balance("102 credits")
    erin.page.get_by_role("dialog").get_by_role("link", name="Send your message").click()
    expect(erin.messages).to_have_text(["Think hard"])
    erin.sees_balance("99 credits")
    expect(erin.box).to_have_value("")


def test_a_reload_keeps_the_session_and_the_last_conversation(visit: Visit, address: str) -> None:
    frank = visit(address).register("frank").send("Remember this").sees_balance("99 credits").is_named()
    frank.page.reload()
    frank.sees_balance("99 credits")
    expect(frank.chat).to_contain_text("Remember this")


def test_the_page_says_what_a_reply_did_not_read_and_refuses_what_cannot_fit(visit: Visit, address: str) -> None:
    talker = visit(address).register("talker")
    unread = talker.page.get_by_text("The model did not read the oldest 2 messages of this conversation")
    talker.send("w " * 1_000 + "[[tokens:1]]").sees_balance("99 credits")
    expect(unread).to_have_count(0)
    talker.send("v " * 1_000 + "[[tokens:1]]").sees_balance("98 credits")
    expect(unread).to_be_visible()
    talker.picture("trimmed")
    talker.page.reload()
    expect(unread).to_be_visible()
    talker.may_be_refused = {422}
    talker.send("x " * 1_600)
    expect(talker.page.get_by_role("alert").filter(has_text="your message")).to_contain_text(
        "your message has at least 1600 tokens"
    )
    expect(talker.box).to_have_value("x " * 1_600)
    talker.sees_balance("98 credits")


def test_sign_out_leads_to_the_form_and_closes_the_page(visit: Visit, address: str) -> None:
    grace = visit(address).register("grace").send("A secret").sees_balance("99 credits")
    # What a page asks that comes back after its session is refused.
    grace.may_be_refused = {401}
    grace.sign_out()
    expect(grace.page.get_by_role("button", name="Sign in")).to_be_visible()
    grace.page.go_back()
    grace.page.goto(f"{address}/ui/")
    expect(grace.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(grace.page.get_by_text("A secret")).to_have_count(0)
    grace.sign_in("GRACE@example.org").sees_balance("99 credits").conversations.first.click()
    expect(grace.chat).to_contain_text("A secret")


def test_a_person_who_signs_out_is_not_told_that_the_session_has_ended(visit: Visit, address: str) -> None:
    heidi = visit(address).register("heidi")

    def told_first(route: Route) -> None:
        heidi.page.evaluate("chatbill.emit('left', {})")
        route.continue_()

    heidi.page.route("**/web/session", told_first)
    heidi.sign_out()
    expect(heidi.page.get_by_label("Username or e-mail")).to_be_focused()
    expect(heidi.page.get_by_text("Your session has ended.")).to_be_hidden()


def test_a_reply_requested_in_another_tab_is_shown_when_it_ends(visit: Visit, address: str) -> None:
    olga = visit(address).register("olga").send(LONG)
    expect(olga.replies.first).to_contain_text("Count with me")
    other = olga.page.context.new_page()
    olga.watch(other)
    other.goto(olga.is_named().page.url)
    beside = other.get_by_role("log").locator(".cb-replied .cb-aside")
    expect(beside).to_contain_text("writing…")
    olga.press("Stop").sees_balance("99 credits")
    expect(beside).to_contain_text("stopped")
    other.close()


def test_a_session_that_ends_in_another_tab_is_explained(visit: Visit, address: str) -> None:
    ivan = visit(address).register("ivan")
    ivan.may_be_refused = {401}
    ivan.sign_out_elsewhere().close()
    # Its event connection has ended with the session.
    expect(ivan.page.get_by_text("Your session has ended. Sign in again.")).to_be_visible()


def test_two_users_are_answered_at_the_same_time(visit: Visit, address: str) -> None:
    judy, kim = visit(address).register("judy"), visit(address).register("kim")
    judy.send(LONG)
    expect(judy.replies.first).to_contain_text("Count with me")
    kim.send("Quick one").sees_balance("99 credits")
    expect(judy.small_print).to_have_text("Demo mini · writing…")
    expect(judy.chat).not_to_contain_text("Quick one")
    judy.press("Stop").sees_balance("99 credits")


def test_user_messages_are_escaped(visit: Visit, address: str) -> None:
    hostile = (
        "<img src=x onerror=alert(1)> **bold** $$x^2$$ `code` [[tokens:2]] <script>alert(2)</script>\n\n# no title"
    )
    mallory = visit(address).register("mallory")
    mallory.page.on("dialog", lambda dialog: mallory.errors.append(dialog.message))
    mallory.send(f"{hostile} {'long' * 200}").sees_balance("99 credits")
    said = mallory.messages
    expect(said).to_contain_text(hostile)
    expect(said.locator("img, strong, code, h1, math, script")).to_have_count(0)
    assert mallory.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    mallory.picture("literal")


def test_a_reply_may_use_markdown_but_load_nothing(visit: Visit, address: str) -> None:
    nina = visit(address).register("nina")
    nina.send("**bold** ![](https://example.com/spy.png) <img src=https://example.com/spy.png> `<b>`")
    nina.sees_balance("99 credits")
    expect(nina.replies.first.locator("strong")).to_have_text("bold")
    expect(nina.replies.first.locator("code")).to_have_text("<b>")
    expect(nina.replies.first.locator("img")).to_have_count(0)


def test_conversations_are_listed_opened_renamed_and_deleted(visit: Visit, address: str) -> None:
    olaf = visit(address).register("olaf").send("First subject").sees_balance("99 credits").press("New chat")
    expect(olaf.chat).not_to_contain_text("First subject")
    olaf.send("Second subject").sees_balance("98 credits")
    expect(olaf.conversations).to_have_count(2)
    expect(olaf.page.get_by_role("heading", name="Today")).to_be_visible()
    olaf.page.get_by_role("link", name="First subject").click()
    expect(olaf.chat).to_contain_text("First subject")
    expect(olaf.chat).not_to_contain_text("Second subject")
    olaf.press("Rename this chat").page.get_by_label("Title").fill("A better title")
    olaf.press("Rename")
    expect(olaf.page.get_by_role("heading", level=1)).to_have_text("A better title")
    expect(olaf.conversations.filter(has_text="A better title")).to_have_attribute("aria-current", "page")
    olaf.press("Delete this chat").press("Delete")
    expect(olaf.conversations).to_have_text(["Second subject"])
    expect(olaf.chat).not_to_contain_text("First subject")


def test_conversations_are_found_by_their_texts(visit: Visit, address: str) -> None:
    uma = visit(address).register("uma").send("About whales [[tokens:9]]").sees_balance("99 credits").press("New chat")
    uma.send("About owls").sees_balance("98 credits")
    uma.page.get_by_role("searchbox", name="Search chats").fill("WHALES")
    expect(uma.conversations).to_have_text(["About whales [[tokens:9]]"])
    uma.page.get_by_role("searchbox", name="Search chats").fill("no such words")
    expect(uma.page.get_by_text("No chat has these words.")).to_be_visible()


def test_wrong_input_is_explained_beside_the_field(visit: Visit, address: str) -> None:
    peggy = visit(address)
    peggy.may_be_refused = {401, 422}
    peggy.arrive().tries_to_sign_in("nobody", "not the password")
    expect(peggy.page.get_by_role("alert").first).to_have_text("The name or the password is not right.")
    peggy.page.get_by_role("tab", name="Create account").click()
    peggy.page.get_by_label("Username", exact=True).fill("x")
    peggy.page.get_by_label("E-mail", exact=True).fill("nowhere")
    peggy.page.locator("#new-password").fill("short")
    peggy.page.keyboard.press("Enter")
    expect(peggy.page.locator("#new-username-fault")).to_contain_text("must be 3 to 32 characters")
    expect(peggy.page.locator("#new-email-fault")).to_contain_text("must be an e-mail address")
    expect(peggy.page.locator("#new-password-fault")).to_contain_text("must be 8 to 256 characters")
    peggy.picture("faults")


def test_a_server_stops_while_a_page_is_open(visit: Visit) -> None:
    with serving(100) as address:
        sybil = visit(address).register("sybil").sees_balance("100 credits")
    expect(sybil.page.get_by_text(re.compile("connection was lost"))).to_be_visible()
    sybil.submit("Anybody there?")
    expect(sybil.page.get_by_text("Trying again")).to_be_visible()
    expect(sybil.box).to_have_value("Anybody there?")
    expect(sybil.page.get_by_role("alert").filter(has_text="The message was not sent")).to_be_visible()
    sybil.errors.clear()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_page_fits_a_phone(visit: Visit, address: str, color_scheme: str) -> None:
    quinn = visit(address, ViewportSize(width=390, height=800), color_scheme)
    quinn.arrive().picture(f"{color_scheme}-1-sign-in")
    quinn.register(f"quinn{color_scheme}").send("Does it fit? [[tokens:60]]").sees_balance("99 credits")
    quinn.picture(f"{color_scheme}-2-chat")
    for name in ("Chats", "Send"):
        expect(quinn.page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
    expect(quinn.page.get_by_label("Balance")).to_be_in_viewport(ratio=1)
    quinn.press("Chats")
    expect(quinn.page.get_by_role("button", name="New chat")).to_be_in_viewport(ratio=1)
    expect(quinn.page.get_by_role("button", name="New chat")).to_be_focused()
    quinn.picture(f"{color_scheme}-3-conversations")
    quinn.press("New chat")
    expect(quinn.page.get_by_role("button", name="New chat")).to_be_hidden()
    assert quinn.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
