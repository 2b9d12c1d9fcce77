"""The account in a real Chromium: its views, and the pages of people who are not signed in."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from playwright.sync_api import Download, Page, ViewportSize, expect

from chatbill.testing import PlainOneTimeCodes
from tests.browser.axe import faults
from tests.browser.conftest import Scheme, Visit
from tests.browser.visitor import Visitor
from tests.kit.support import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NEW = "analytical engine 1"
SECRET = re.compile("secret")
DESK, SMALL, SMALLEST = (
    ViewportSize(width=1280, height=800),
    ViewportSize(width=390, height=844),
    ViewportSize(width=360, height=720),
)
SCREENS: list[tuple[ViewportSize, Scheme]] = [(DESK, "light"), (SMALL, "dark"), (SMALLEST, "light")]
# Nothing is wider than the screen, and no word is cut off in a button.
FITS = """() => {
  const each = [...document.querySelectorAll("button, .cb-place")];
  const cut = each.filter((button) => button.scrollWidth > button.clientWidth + 1);
  const wide = document.documentElement.scrollWidth > innerWidth;
  return [...cut.map((button) => button.outerHTML), ...(wide ? ["the page"] : [])];
}"""


def account(visitor: Visitor, part: str = "Profile") -> Page:
    """Open a part of the account."""
    page = visitor.goes("Account").page
    parts = page.get_by_role("navigation", name="Parts of the account")
    if part != "Profile":
        visitor.follow(parts.get_by_role("link", name=part))
    expect(parts.locator("[aria-current]")).to_have_text(part)
    return page


def test_a_session_elsewhere_is_seen_and_ended(visit: Visit, address: str) -> None:
    visitor = visit(address).register("greta")
    program = httpx.Client(base_url=address, headers={"User-Agent": "<b>program</b>/1.0"})
    tokens = program.post("/auth/login", json={"username": "greta", "password": PASSWORD}).json()
    program.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    page = account(visitor, "Security")
    rows = page.get_by_role("list", name="Your sessions").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("this browser")
    expect(rows.last).to_contain_text("<b>program</b>/1.0")
    visitor.picture("1-sessions")
    page.get_by_role("button", name="End the session of").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_role("status").last).to_have_text("The session has ended.")
    assert page.evaluate("document.activeElement !== document.body")
    assert program.get("/auth/me").status_code == 401
    program.close()


def test_a_new_password_is_set_and_used(visit: Visit, address: str) -> None:
    visitor = visit(address).register("hedy")
    visitor.may_be_refused = {401, 422}
    page = account(visitor, "Security")

    def change(current: str, new: str) -> None:
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_role("button", name="Set the password").click()

    change("not this one", NEW)
    expect(page.locator("#cb-password .trouble")).to_contain_text("The current password is not right.")
    change(PASSWORD, PASSWORD)
    expect(page.locator("#cb-new-password-fault")).to_have_text("This must differ from the old one.")
    expect(page.get_by_label("New password", exact=True)).to_be_focused()
    visitor.picture("1-refused")
    change(PASSWORD, NEW)
    expect(page.locator("#cb-password")).to_contain_text("Your new password is set")
    visitor.sign_out()
    visitor.sign_in("hedy", NEW)


def test_a_second_factor_is_set_up_used_and_removed(visit: Visit, address: str) -> None:
    visitor = visit(address).register("irma")
    visitor.may_be_refused = {401, 422}
    page = account(visitor, "Security")
    visitor.press("Set up a second factor")
    expect(page.get_by_role("img", name="QR code of the secret")).to_be_visible()
    expect(page.get_by_label("Code that the app shows")).to_be_focused()
    visitor.picture("1-secret")
    assert faults(page) == []
    secret = page.locator("#cb-factor-secret").inner_text().replace(" ", "")
    page.get_by_label("Code that the app shows").fill("000 000")
    visitor.press("Confirm the code")
    expect(page.locator("#cb-factor .trouble")).to_contain_text("This code is wrong")
    page.get_by_label("Code that the app shows").fill(PlainOneTimeCodes().code(secret, int(time.time()) // 30))
    visitor.press("Confirm the code")
    codes = page.get_by_label("Recovery codes").inner_text().split("\n")
    assert len(codes) == 10
    visitor.picture("2-codes")
    assert faults(page) == []
    visitor.press("I have kept them")
    expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()
    assert codes[0] not in page.content()
    visitor.sign_out()
    visitor.tries_to_sign_in("irma")
    expect(page.get_by_label("Code of your app, or a recovery code")).to_be_focused()
    visitor.picture("3-asked")
    assert faults(page) == []
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    visitor.is_in()
    account(visitor, "Security")
    expect(page.get_by_text("9 recovery codes are left.")).to_be_visible()
    page.get_by_text("Remove the second factor").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("Code of your app, or a recovery code").fill(codes[1])
    visitor.press("Remove it")
    expect(page.get_by_role("button", name="Set up a second factor")).to_be_visible()


def test_the_page_is_shown_in_the_language_and_the_colours_that_were_chosen(visit: Visit, address: str) -> None:
    visitor = visit(address, color_scheme="light").register("jana")
    page = account(visitor)
    page.get_by_label("Colours in this browser").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_label("Language", exact=True).select_option("ru")
    page.locator("#cb-locale").locator("xpath=ancestor::form").get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    visitor.is_in()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#cb-zone")).to_have_value("Asia/Tokyo")
    assert page.evaluate("getComputedStyle(document.querySelector('#cb-frame')).backgroundColor") == "rgb(13, 17, 23)"
    visitor.picture("1-russian-and-dark")
    assert faults(page) == []


def test_a_name_and_limits_are_saved_and_errors_stand_beside_their_fields(visit: Visit, address: str) -> None:
    visitor = visit(address).register("karl")
    visitor.may_be_refused = {409, 422}
    page = account(visitor)
    page.get_by_label("Credits a day, at most").fill("ten")
    page.locator("#cb-limit-day").press("Enter")
    expect(page.locator("#cb-limit-day-fault")).to_contain_text("plain digits")
    expect(page.get_by_label("Credits a day, at most")).to_be_focused()
    visitor.picture("1-limit")
    assert faults(page) == []
    page.get_by_label("Credits a day, at most").fill("10")
    page.locator("#cb-limit-day").press("Enter")
    expect(page.get_by_role("status").last).to_have_text("Your limits are saved.")
    expect(page.get_by_label("Credits a day, at most")).to_be_focused()
    page.get_by_label("Username", exact=True).fill("karl.the.great")
    page.get_by_label("Username", exact=True).press("Enter")
    expect(page.get_by_role("status").last).to_have_text("Your name and your address are saved.")
    page.reload()
    expect(page.get_by_label("Credits a day, at most")).to_have_value("10")
    expect(page.get_by_label("Username", exact=True)).to_have_value("karl.the.great")


def test_data_are_downloaded_and_the_account_is_erased(visit: Visit, address: str) -> None:
    visitor = visit(address).register("lena")
    page = account(visitor, "Your data")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download (JSON)").click()
    download: Download = waiting.value
    assert download.suggested_filename == "chatbill-my-data.json"
    expect(page.get_by_text("You lose the 100 credits that you have.")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Your password").fill(PASSWORD)
    visitor.press("Delete my account")
    expect(page.get_by_role("tab", name="Sign in")).to_be_visible()
    visitor.may_be_refused = {401}
    visitor.tries_to_sign_in("lena")
    expect(page.locator("#sign-in .trouble")).not_to_be_empty()


@pytest.mark.parametrize(("screen", "scheme"), SCREENS)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_screen_fits_and_has_no_faults_of_accessibility(
    visit: Visit, address: str, screen: ViewportSize, scheme: Scheme, language: str
) -> None:
    visitor = visit(address, screen, scheme)
    page, name = visitor.page, f"{screen['width']}-{scheme}-{language}"

    def look(what: str) -> None:
        visitor.picture(f"{what}-{name}")
        assert faults(page) == [], what
        assert page.evaluate(FITS) == [], what

    page.goto(f"{address}/ui/account?lang={language}")
    look("1-sign-in")
    page.get_by_role("tab").last.click()
    look("2-register")
    for path in ("reset", "verify"):
        page.goto(f"{address}/web/{path}#nobody.secret")
        look(f"3-{path}")
    page.goto(f"{address}/ui/account#register")
    page.locator("#new-username").fill(f"m{name}")
    page.locator("#new-email").fill(f"m{name}@example.org")
    page.locator("#new-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    visitor.is_in()
    for part in ("account", "account/security", "account/data"):
        visitor.follow(page.locator(f'.cb-parts a[href="{part}"]'))
        expect(page.locator(f'.cb-parts a[href="{part}"][aria-current]')).to_be_visible()
        look(f"4-{part.replace('/', '-')}")


def test_the_language_of_visitors_is_remembered_and_keeps_the_address_and_the_token(visit: Visit, address: str) -> None:
    visitor = visit(address)
    visitor.may_be_refused = {422}
    page = visitor.page
    page.goto(f"{address}/ui/credits")
    page.get_by_role("link", name="Русский").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    assert "/ui/credits" in page.url
    page.goto(f"{address}/web/verify#nobody.secret")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#token")).to_have_value("nobody.secret")
    expect(page).not_to_have_url(SECRET)


def test_the_tabs_of_the_sign_in_page_are_used_by_keyboard(visit: Visit, address: str) -> None:
    page = visit(address).arrive().page
    expect(page.get_by_label("Username or e-mail")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("tab", name="Sign in")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Create account")).to_be_focused()
    expect(page.get_by_text("New accounts start with 100 credits.")).to_be_visible()
    page.get_by_label("Username", exact=True).press("Enter")
    expect(page.locator("#new-username-fault")).to_have_text("Fill this in.")
    expect(page.get_by_label("Username", exact=True)).to_be_focused()


def test_a_link_of_another_site_opens_the_view_of_a_person_who_is_signed_in(visit: Visit, address: str) -> None:
    visitor = visit(address).register("nora")
    page = visitor.page
    elsewhere = address.replace("127.0.0.1", "chat.test")
    page.goto(f"{elsewhere}/web/verify")
    page.evaluate(
        "(to) => { const a = document.createElement('a'); a.href = to; document.body.append(a); a.click(); }",
        f"{address}/ui/account/data",
    )
    expect(page.get_by_role("heading", name="Delete the account")).to_be_visible()
    visitor.strangers.clear()


def test_a_link_without_a_token_explains_what_to_do_and_breaks_no_rule_of_the_page(visit: Visit, address: str) -> None:
    visitor = visit(address)
    visitor.may_be_refused = {422}
    visitor.page.goto(f"{address}/web/reset#nobody.secret")
    expect(visitor.page).not_to_have_url(SECRET)
    visitor.page.get_by_label("New password").fill(NEW)
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("alert").first).to_contain_text("ask for a new link")
    visitor.picture("1-unknown")
