"""The view of credits in a real Chromium: buying, codes, transactions, spending."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Locator, Route, ViewportSize, expect

from tests.browser.axe import faults
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.kit.support import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = ViewportSize(width=390, height=844)


def opened(visitor: Visitor, name: str = "Credits") -> Visitor:
    """Open a view by its link."""
    expect(visitor.goes(name).page.get_by_role("heading", level=1, name=name)).to_be_visible()
    return visitor


def dialog(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_role("dialog", name=name)


def rows(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("table", name="Transactions").locator("tbody tr")


def client_of(address: str, login: str) -> httpx.Client:
    """Return a client of the API for a person."""
    signed_in = httpx.post(f"{address}/auth/login", json={"username": login, "password": PASSWORD}, timeout=30)
    token = signed_in.json()["access_token"]
    return httpx.Client(base_url=address, timeout=30, headers={"Authorization": f"Bearer {token}"})


def fits(visitor: Visitor) -> bool:
    """Return whether nothing is wider than the window."""
    wide = "[document.documentElement, document.getElementById('cb-view')].some((e) => e.scrollWidth > e.clientWidth)"
    return not visitor.page.evaluate(wide)


def test_a_package_is_bought_after_a_confirmation_and_a_double_click_adds_it_once(visit: Visit, address: str) -> None:
    anna = opened(visit(address).register("anna"))
    anna.press("Add credits")
    expect(dialog(anna, "Add credits")).to_contain_text("€1.00")
    anna.press("Continue")
    expect(dialog(anna, "Confirm payment")).to_contain_text("You pay €1.00 and receive 100 credits.")
    expect(dialog(anna, "Confirm payment")).to_contain_text("This is a sandbox: no money is taken.")
    anna.picture("1-confirm")
    anna.page.get_by_role("button", name="Confirm").dblclick()
    expect(dialog(anna, "Confirm payment")).to_contain_text("100 credits added.")
    expect(anna.page.get_by_role("button", name="Close")).to_be_focused()
    anna.sees_balance("200 credits").press("Close")
    expect(anna.page.get_by_role("button", name="Add credits")).to_be_focused()
    expect(rows(anna)).to_have_count(2)
    expect(rows(anna).first).to_contain_text("Purchase")
    expect(anna.page.locator("#cb-wallet")).to_contain_text("200 credits available")


def test_an_amount_of_ones_own_is_priced_while_it_is_typed(visit: Visit, address: str) -> None:
    berta = opened(visit(address).register("berta"))
    berta.may_be_refused = {422}
    berta.press("Add credits")
    amount = berta.page.get_by_role("spinbutton", name="Amount")
    amount.press_sequentially("250")
    expect(dialog(berta, "Add credits")).to_contain_text("250 credits for €2.50")
    amount.fill("0")
    amount.press("Enter")
    expect(amount).to_be_focused()
    expect(berta.page.locator("#cb-amount-fault")).not_to_be_empty()
    amount.fill("30")
    amount.press("Enter")
    expect(dialog(berta, "Confirm payment")).to_contain_text("You pay €0.30 and receive 30 credits.")
    berta.press("Back")
    expect(amount).to_have_value("30")
    berta.press("Continue").press("Confirm").sees_balance("130 credits")


def test_an_amount_may_be_left_while_its_price_is_on_its_way(visit: Visit, address: str) -> None:
    cleo = visit(address).register("cleo").goes("Credits")
    cleo.press("Add credits")
    cleo.page.get_by_role("spinbutton", name="Amount").fill("7")
    cleo.page.evaluate("chatbill.view.replaceChildren()")
    cleo.page.wait_for_timeout(400)  # the end of this test looks at the errors of the page


def test_a_lost_answer_and_another_try_add_once(visit: Visit, address: str) -> None:
    carla = opened(visit(address).register("carla"))

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    carla.page.get_by_role("button", name="100 credits €1.00").click()
    carla.page.route("**/web/credits/orders", lose, times=1)
    carla.press("Confirm")
    expect(dialog(carla, "Confirm payment").get_by_role("alert")).to_contain_text("cannot be reached")
    carla.press("Confirm")
    expect(dialog(carla, "Confirm payment")).to_contain_text("100 credits added.")
    carla.sees_balance("200 credits").press("Close")
    expect(rows(carla)).to_have_count(2)


def test_a_code_is_redeemed_and_a_wrong_one_is_explained(visit: Visit, address: str) -> None:
    dora = opened(visit(address).register("dora"))
    dora.may_be_refused = {404}
    with client_of(address, "root") as root:
        code = root.post("/admin/codes", json={"credits": 50, "uses": 1}).json()["code"]
    box = dora.page.get_by_role("textbox", name="Code")
    box.fill("NO SUCH CODE")
    dora.press("Redeem")
    expect(dora.page.get_by_text("This code was not found here.")).to_be_visible()
    box.fill(code)
    box.press("Enter")
    dora.sees_balance("150 credits")
    expect(dora.page.locator("#cb-redeemed")).to_have_text("50 credits added.")
    expect(box).to_be_focused()
    expect(rows(dora).first).to_contain_text("Code redeemed")


def test_figures_follow_what_the_api_spends(visit: Visit, address: str) -> None:
    elsa = opened(visit(address).register("elsa"))
    expect(elsa.page.locator("#cb-wallet")).to_contain_text("100 credits available")
    with client_of(address, "elsa") as client:
        client.post("/chat/message", json={"model": "demo-pro", "message": "From a program"})
    expect(elsa.page.locator("#cb-wallet")).to_contain_text("97 credits available")
    expect(rows(elsa).first).to_contain_text("Reply by Demo pro")
    elsa.page.get_by_role("link", name="Reply by Demo pro").click()
    expect(elsa.chat).to_contain_text("From a program")


def test_transactions_are_filtered_and_the_address_keeps_the_filter(visit: Visit, address: str) -> None:
    frida = visit(address).register("frida")
    with client_of(address, "frida") as client:
        client.post("/chat/message", json={"model": "demo-mini", "message": "One"})
    opened(frida)
    expect(rows(frida)).to_have_count(2)
    frida.page.get_by_label("Kind").select_option("Charge")
    frida.page.get_by_label("Kind").press("Tab")
    frida.press("Filter")
    expect(rows(frida)).to_have_count(1)
    expect(frida.page.get_by_role("button", name="Filter")).to_be_focused()
    expect(frida.page).to_have_url(re.compile(r"/ui/credits\?kind=charge$"))
    frida.page.reload()
    expect(rows(frida)).to_have_count(1)
    expect(frida.page.get_by_label("Kind")).to_have_value("charge")
    with frida.page.expect_download() as download:
        frida.page.get_by_role("link", name="CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 2
    frida.page.get_by_role("link", name="Show all").click()
    expect(rows(frida)).to_have_count(2)
    frida.page.go_back()
    expect(rows(frida)).to_have_count(1)


def test_credits_are_bought_with_the_keyboard_alone(visit: Visit, address: str) -> None:
    gerda = opened(visit(address).register("gerda"))
    keyboard = gerda.page.keyboard
    gerda.page.locator("#cb-view").focus()
    keyboard.press("Tab")
    for _step in range(12):
        if gerda.page.evaluate("document.activeElement.textContent") == "Add credits":
            break
        keyboard.press("Tab")
    keyboard.press("Enter")
    expect(dialog(gerda, "Add credits")).to_be_visible()
    expect(gerda.page.get_by_role("radio", name="100 credits")).to_be_focused()
    keyboard.press("Enter")
    expect(gerda.page.get_by_role("button", name="Confirm")).to_be_focused()
    keyboard.press("Escape")
    expect(dialog(gerda, "Confirm payment")).to_be_hidden()
    expect(gerda.page.get_by_role("button", name="Add credits")).to_be_focused()
    keyboard.press("Enter")
    expect(gerda.page.get_by_role("radio", name="100 credits")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(gerda.page.get_by_role("radio", name="Another amount")).to_be_checked()
    expect(gerda.page.get_by_role("spinbutton", name="Amount")).to_be_focused()
    keyboard.type("7")
    keyboard.press("Enter")
    expect(gerda.page.get_by_role("button", name="Confirm")).to_be_focused()
    keyboard.press("Enter")
    gerda.sees_balance("107 credits")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 360])
def test_the_view_has_no_fault_of_accessibility_and_fits(
    visit: Visit, address: str, width: int, color_scheme: str
) -> None:
    irma = visit(address, ViewportSize(width=width, height=844), color_scheme)
    irma.register(f"irma{width}{color_scheme}")
    irma.send("Spend something").sees_balance("99 credits")
    opened(irma)
    expect(irma.page.get_by_role("img", name="Credits spent by day")).to_be_visible()
    irma.page.get_by_text("As a table").click()
    irma.picture("1-credits")
    assert faults(irma.page) == []
    assert fits(irma)
    irma.press("Add credits")
    expect(dialog(irma, "Add credits")).to_be_visible()
    irma.picture("2-shop")
    assert faults(irma.page) == []
    irma.press("Continue")
    expect(irma.page.get_by_role("button", name="Confirm")).to_be_in_viewport(ratio=1)
    irma.picture("3-confirm")
    assert faults(irma.page) == []
    irma.press("Confirm")
    expect(dialog(irma, "Confirm payment")).to_contain_text("100 credits added.")
    irma.sees_balance("199 credits").picture("4-added")
    assert faults(irma.page) == []
