"""API keys in a real Chromium: making, copying, using and revoking them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from chatbill.domain.accounts.api_keys import SECRET_CHARS
from tests.browser.axe import faults
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TELEPHONE = ViewportSize(width=360, height=720)
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
NOT_IN_PAGE = "(secret) => !document.documentElement.outerHTML.includes(secret)"


@dataclass(frozen=True)
class Panel:
    """The panel of API keys."""

    visitor: Visitor

    @property
    def element(self) -> Locator:
        return self.visitor.page.get_by_role("dialog", name="API keys")

    @property
    def secret(self) -> Locator:
        return self.element.get_by_label("The new key")

    @property
    def rows(self) -> Locator:
        return self.element.get_by_role("list", name="Your API keys").get_by_role("listitem")

    def open(self) -> Panel:
        self.visitor.goes("Account").press("API keys")
        expect(self.element).to_be_visible()
        return self

    def close(self) -> Panel:
        self.element.get_by_role("button", name="Close").click()
        expect(self.element).to_be_hidden()
        return self

    def fill(self, name: str, cap: str = "") -> Panel:
        self.element.get_by_label("Name", exact=True).fill(name)
        self.element.get_by_label("Credits a month, at most").fill(cap)
        self.element.get_by_role("button", name="Make a key").click()
        return self

    def make(self, name: str, cap: str = "") -> str:
        """Make a key, and return the text that is shown."""
        self.fill(name, cap)
        expect(self.secret).to_contain_text("cb_")
        return self.secret.inner_text()

    def done(self) -> Panel:
        self.element.get_by_role("button", name="I have copied it").click()
        expect(self.secret).to_be_hidden()
        return self


def panel_of(visit: Visit, address: str, name: str) -> Panel:
    return Panel(visit(address).register(name)).open()


def status_of(address: str, key: str) -> int:
    """Return the status that the API answers for this key."""
    return httpx.get(f"{address}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_is_made_and_the_example_program_works_with_it(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "ann")
    expect(panel.element).to_contain_text("You have no keys yet.")
    key = panel.make("nightly job", "20")
    expect(panel.element).to_contain_text("shown only this once")
    panel.visitor.picture("1-made")
    example = panel.element.get_by_label("Example for Python").inner_text()
    environment = os.environ | {"OPENAI_API_KEY": key}
    ran = subprocess.run(
        [sys.executable, "-c", example], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "Hello!\n"), ran.stderr
    in_shell = panel.element.get_by_label("Example for a shell").inner_text()
    ran = subprocess.run(
        ["/bin/sh", "-c", in_shell], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert json.loads(ran.stdout)["choices"][0]["message"]["content"] == "Hello!", ran.stderr
    panel.done()
    expect(panel.rows).to_have_count(1)
    for words in ("nightly job", f"{key[:-SECRET_CHARS]}…", "2 of 20 credits this month", "last used "):
        expect(panel.rows).to_contain_text(words)
    panel.visitor.picture("2-used")
    panel.close().visitor.sees_balance("98 credits")


def test_a_key_leaves_no_trace_in_the_page_when_it_is_closed(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "bea")
    page = panel.visitor.page
    for name, put_away in (("one", panel.done), ("two", panel.close), ("three", page.reload)):
        secret = panel.make(name)[-SECRET_CHARS:]
        assert secret not in page.evaluate(STORED)
        assert not page.evaluate(NOT_IN_PAGE, secret)
        put_away()
        page.wait_for_function(NOT_IN_PAGE, arg=secret)  # the close event of a dialog comes a moment later
        assert secret not in page.evaluate(STORED)
        if not panel.element.is_visible():
            panel.open()
        expect(panel.rows.last).to_contain_text(name)
        expect(panel.secret).to_be_hidden()
        assert secret not in page.content()


@pytest.mark.parametrize("host", ["127.0.0.1", "chat.test"], ids=["by-the-clipboard", "without-https"])
def test_the_whole_key_is_copied(visit: Visit, address: str, host: str) -> None:
    panel = panel_of(visit, address.replace("127.0.0.1", host), f"cleo{host[0]}")
    assert panel.visitor.page.evaluate("isSecureContext") == (host == "127.0.0.1")
    key = panel.make("CI")
    panel.element.get_by_role("button", name="Copy").click()
    expect(panel.element.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    panel.visitor.picture("copied")
    panel.done()
    name = panel.element.get_by_label("Name", exact=True)
    name.focus()
    panel.visitor.page.keyboard.press("Control+V")
    expect(name).to_have_value(key)


def test_escape_does_not_close_a_new_key(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "dora")
    panel.make("CI")
    panel.visitor.page.keyboard.press("Escape")
    expect(panel.secret).to_be_visible()
    panel.done()
    panel.visitor.page.keyboard.press("Escape")
    expect(panel.element).to_be_hidden()


def test_a_key_is_revoked_after_confirmation_and_then_rejected(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "edda")
    key = panel.make("old job")
    panel.done()
    page = panel.visitor.page
    revoke = panel.element.get_by_role("button", name="Revoke old job")
    with page.expect_event("dialog") as asked:
        page.once("dialog", lambda dialog: dialog.dismiss())
        revoke.click()
    assert "Revoke “old job”?" in asked.value.message
    expect(panel.rows).to_have_count(1)
    assert status_of(address, key) == 200
    page.once("dialog", lambda dialog: dialog.accept())
    revoke.click()
    expect(panel.rows).to_have_count(0)
    expect(panel.element).to_contain_text("You have no keys yet.")
    assert status_of(address, key) == 401


def test_errors_are_shown_and_the_input_stays(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "fritz")
    panel.visitor.may_be_refused = {409, 422}
    panel.fill("CI", "2o")
    expect(panel.element.locator("#cb-key-cap-fault")).to_contain_text("must be a whole number of credits")
    panel.visitor.picture("1-cap")
    panel.fill("", "20")
    expect(panel.element.locator("#cb-key-name-fault")).to_have_text("This must be 1 to 100 printable characters.")
    expect(panel.element.locator("#cb-key-cap-fault")).to_be_hidden()
    panel.make("CI")
    panel.done().fill("ci", "7")
    expect(panel.element.get_by_role("alert").last).to_contain_text("You have an API key of this name.")
    expect(panel.element.get_by_label("Name", exact=True)).to_be_focused()
    expect(panel.element.get_by_label("Credits a month, at most")).to_have_value("7")
    panel.visitor.picture("2-taken")
    panel.visitor.page.route("**/web/api-keys", lambda route: route.abort())
    panel.fill("another")
    expect(panel.element.get_by_role("alert").last).to_have_text(
        "The service cannot be reached. Try again in a moment."
    )


def test_the_name_of_a_key_is_escaped(visit: Visit, address: str) -> None:
    hostile = "<img src=x onerror=alert(1)> ${7*7} {{7*7}} &amp; “quoted” 'single' " + "long" * 8
    panel = panel_of(visit, address, "gregor")
    panel.visitor.page.on("dialog", lambda dialog: panel.visitor.errors.append(dialog.message))
    panel.make(hostile)
    panel.done()
    expect(panel.rows).to_contain_text(hostile)
    expect(panel.rows.locator("img")).to_have_count(0)


def test_a_session_that_has_ended_leads_to_the_sign_in_form(visit: Visit, address: str) -> None:
    panel = panel_of(visit, address, "hanna")
    panel.visitor.may_be_refused = {401}
    panel.visitor.hear_nothing().sign_out_elsewhere()
    panel.fill("CI")
    expect(panel.visitor.page.get_by_text("Your session has ended. Sign in again.")).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_dialog_fits_a_phone_and_has_no_faults_of_accessibility(
    visit: Visit, address: str, color_scheme: str
) -> None:
    ida = visit(address, TELEPHONE, color_scheme).register(f"ida{color_scheme}")
    panel = Panel(ida).open()
    expect(panel.element).to_contain_text("You have no keys yet.")
    ida.picture(f"{color_scheme}-1-empty")
    assert faults(ida.page) == []
    panel.make("W" * 100, "20")
    ida.picture(f"{color_scheme}-2-made")
    assert faults(ida.page) == []
    expect(panel.element.get_by_role("button", name="Copy")).to_be_in_viewport(ratio=1)
    panel.done()
    expect(panel.element.get_by_role("button", name="Revoke")).to_be_in_viewport(ratio=1)
    ida.picture(f"{color_scheme}-3-listed")
    assert faults(ida.page) == []
    assert panel.element.evaluate("(panel) => panel.scrollWidth <= panel.clientWidth")
    panel.close()
    for name in ("API keys", "Sign out"):
        expect(ida.page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
