"""The account in a real Chromium: sessions, a new password, and the page of a password link."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.kit.support import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NEW = "analytical engine 1"


def panel_of(visitor: Visitor) -> Locator:
    """Open the panel of the account."""
    visitor.press("Account")
    panel = visitor.page.get_by_role("dialog", name="Account")
    expect(panel).to_be_visible()
    return panel


def test_a_session_elsewhere_is_seen_and_ended(visit: Visit, address: str) -> None:
    visitor = visit(address).register("greta")
    program = httpx.Client(base_url=address, headers={"User-Agent": "<b>program</b>/1.0"})
    tokens = program.post("/auth/login", json={"username": "greta", "password": PASSWORD}).json()
    program.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    panel = panel_of(visitor)
    rows = panel.get_by_role("list", name="Your sessions").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("<b>program</b>/1.0")
    expect(rows.last).to_contain_text("this browser")
    visitor.picture("1-sessions")
    panel.get_by_role("button", name="End the session of").click()
    expect(rows).to_have_count(1)
    assert program.get("/auth/me").status_code == 401
    program.close()


def test_a_new_password_is_set_and_used(visit: Visit, address: str) -> None:
    visitor = visit(address).register("hedy")
    visitor.may_be_refused = {401, 422}
    panel = panel_of(visitor)

    def change(current: str, new: str) -> None:
        panel.get_by_label("Current password").fill(current)
        panel.get_by_label("New password", exact=True).fill(new)
        panel.get_by_role("button", name="Set the password").click()

    change("not this one", NEW)
    expect(panel.get_by_role("alert").last).to_contain_text("The current password is not right.")
    change(PASSWORD, PASSWORD)
    expect(panel.locator("#cb-new-password-fault")).to_have_text("This must differ from the old one.")
    visitor.picture("1-refused")
    change(PASSWORD, NEW)
    expect(panel.get_by_role("status")).to_have_text("Your new password is set.")
    panel.get_by_role("button", name="Close").click()
    visitor.press("Sign out")
    visitor.sign_in("hedy", NEW)
    expect(visitor.box).to_be_enabled()


def test_a_link_without_a_token_explains_what_to_do_and_breaks_no_rule_of_the_page(visit: Visit, address: str) -> None:
    visitor = visit(address)
    visitor.may_be_refused = {422}
    visitor.page.goto(f"{address}/web/reset#nobody.secret")
    assert "secret" not in visitor.page.url
    visitor.page.get_by_label("New password").fill(NEW)
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("alert").first).to_contain_text("ask for a new link")
    visitor.picture("1-unknown")
