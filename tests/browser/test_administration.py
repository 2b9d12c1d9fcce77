"""The administration in a real Chromium, as an administrator and on every kind of screen.

`CHATBILL_GUIDE=docs/images/guide pytest tests/browser/test_administration.py` makes the pictures of the guide anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Scheme, Visit
from tests.browser.test_credits import client_of, fits
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GUIDE = os.environ.get("CHATBILL_GUIDE")
SECTIONS = ("Overview", "Use", "Money", "People", "Requests", "Ledger", "Codes", "Models", "Alerts", "Audit trail")


def entered(visitor: Visitor) -> Visitor:
    """Sign in as the administrator, and open the administration."""
    visitor.arrive().sign_in("root").goes("Administration")
    expect(visitor.page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    return visitor


def goes(visitor: Visitor, section: str) -> None:
    sections = visitor.page.get_by_role("navigation", name="Administration sections")
    visitor.follow(sections.get_by_role("link", name=section, exact=True))
    expect(visitor.page.get_by_role("heading", level=1, name=section, exact=True)).to_be_visible()


def busy(person: httpx.Client, staff: httpx.Client) -> None:
    """Have something of each kind in the books: a purchase, replies, a refund, a code, an adjustment."""
    person.post("/billing/add", json={"amount": 500}).raise_for_status()
    answers = [
        person.post("/chat/message", json={"model": model, "message": "How do tides work?"}).raise_for_status().json()
        for model in ("demo-mini", "demo-mini", "demo-pro")
    ]
    paid_back = {"reason": "the reply was cut off"}
    staff.post(f"/admin/interactions/{answers[-1]['id']}/refund", json=paid_back).raise_for_status()
    code = staff.post("/admin/codes", json={"credits": 50, "uses": 20}).raise_for_status().json()["code"]
    person.post("/billing/redeem", json={"code": code}).raise_for_status()
    owner = person.get("/auth/me").raise_for_status().json()["id"]
    given = {"amount": 25, "reason": "for the outage"}
    staff.post(f"/admin/users/{owner}/credits", json=given).raise_for_status()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_section_fits_and_has_no_fault_of_accessibility(
    visit: Visit, address: str, width: int, scheme: Scheme
) -> None:
    name = f"seen{width}"
    visit(address).register(name)
    with client_of(address, name) as person, client_of(address, "root") as staff:
        busy(person, staff)
    root = entered(visit(address, ViewportSize(width=width, height=800), scheme))
    for section in SECTIONS:
        goes(root, section)
        assert fits(root), section
        assert faults(root.page) == [], section
        root.picture(section.lower().replace(" ", "-"))
        if GUIDE and width == 1280:
            Path(GUIDE).mkdir(parents=True, exist_ok=True)
            root.page.screenshot(path=Path(GUIDE) / f"admin-{section.lower().replace(' ', '-')}.png")


def test_a_person_is_found_given_credits_and_suspended_and_the_books_and_the_trail_say_so(
    visit: Visit, address: str
) -> None:
    visit(address).register("needy")
    root = entered(visit(address))
    page = root.page
    goes(root, "People")
    page.get_by_role("searchbox", name="Name or e-mail").fill("needy")
    root.follow(page.get_by_role("button", name="Filter"))
    page.get_by_role("link", name="needy", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="needy")).to_be_visible()

    page.get_by_text("Give or take credits").click()
    page.get_by_label("Credits", exact=True).fill("25")
    page.locator("#cb-credits-reason").fill("for the outage")
    page.get_by_role("button", name="Adjust the balance").dblclick()
    expect(page.locator("dd.cb-credits").first).to_have_text("125 credits")
    page.get_by_role("link", name="Ledger entries").click()
    expect(page.get_by_role("table", name="Ledger")).to_contain_text("for the outage")
    with root.opening():
        page.go_back()

    page.get_by_text("Suspend the account").click()
    page.locator("#cb-state-reason").fill("spam")
    page.get_by_role("button", name="Suspend", exact=True).click()
    expect(page.get_by_text("Activate the account")).to_be_visible()
    goes(root, "Audit trail")
    expect(page.get_by_role("table", name="Audit trail")).to_contain_text("Account suspended")


def test_a_reply_is_refunded_and_a_code_is_made(visit: Visit, address: str) -> None:
    visit(address).register("payer")
    with client_of(address, "payer") as api:
        api.post("/chat/message", json={"model": "demo-pro", "message": "hello"}).raise_for_status()
        root = entered(visit(address))
        page = root.page
        goes(root, "Requests")
        row = page.get_by_role("table", name="Requests").locator("tbody tr").first
        row.locator("summary").click()
        row.get_by_label("Reason").fill("useless")
        row.get_by_role("button", name="Give the credits back").click()
        expect(page.locator("#cb-said")).to_contain_text("Given back")
        goes(root, "Ledger")
        expect(page.get_by_role("table", name="Ledger").locator("tbody tr").first).to_contain_text("Refund")
        goes(root, "Codes")
        page.get_by_text("New code", exact=True).click()
        page.get_by_label("Credits for each person").fill("50")
        page.get_by_role("button", name="Make the code").click()
        code = page.locator("#cb-secret").inner_text()
        assert api.post("/billing/redeem", json={"code": code}).json()["credits_added"] == 50


def test_people_without_a_role_see_no_administration(visit: Visit, address: str) -> None:
    nosy = visit(address).register("nosy")
    nosy.may_be_refused = {403}
    expect(nosy.page.get_by_role("link", name="Administration")).to_have_count(0)
    nosy.page.goto(f"{address}/ui/administration/people")
    expect(nosy.page.get_by_role("alert").filter(has_text="permission")).to_be_visible()
