"""The walk of a new user, in both languages and on every kind of screen; its pictures are those of the user guide.

`CHATBILL_GUIDE=docs/images/guide pytest tests/browser/test_walk.py` makes the pictures anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from chatbill.entrypoints.web.language import Language, speaking
from chatbill.entrypoints.web.texts import credits_text
from tests.browser.axe import faults
from tests.browser.conftest import Scheme, Visit
from tests.browser.visitor import Visitor
from tests.kit.support import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GUIDE = os.environ.get("CHATBILL_GUIDE")
SCREENS = [
    ("en", 1280, "light"),
    ("ru", 1280, "light"),
    ("ru", 1280, "dark"),
    ("en", 390, "dark"),
    ("ru", 390, "light"),
    ("en", 360, "light"),
    ("ru", 360, "dark"),
]
IN_GUIDE = {("en", 1280, "light"), ("ru", 1280, "light")}
QUESTIONS = {
    "en": ("How do tides work?", "And why twice a day?"),
    "ru": ("Как устроены приливы?", "А почему дважды в день?"),  # noqa: RUF001 - Cyrillic
}
ONE_MORE = {"en": "Thank you!", "ru": "Спасибо!"}
OVERFLOWS = """() => {
  const view = document.getElementById("cb-view") ?? document.documentElement;
  const wide = [document.documentElement, view].filter((each) => each.scrollWidth > each.clientWidth + 1);
  const cut = [...document.querySelectorAll("button, h1, h2, .cb-place span")].filter((each) =>
    each.checkVisibility() && each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflow === "visible");
  return [...wide, ...cut].map((each) => `${each.tagName}#${each.id}: ${each.textContent.trim().slice(0, 40)}`);
}"""


class Walker:
    """A visitor who knows the texts of one language."""

    def __init__(self, visitor: Visitor, language: str, *, is_in_guide: bool) -> None:
        self.visitor, self.page = visitor, visitor.page
        self._language = Language(language)
        self._is_in_guide = is_in_guide and GUIDE is not None

    def text(self, english: str) -> str:
        return self._language.translations.gettext(english)

    def credits(self, count: int) -> str:
        with speaking(self._language):
            return credits_text(count)

    def button(self, english: str) -> Locator:
        return self.page.get_by_role("button", name=self.text(english), exact=True)

    def opens(self, english: str) -> None:
        main = self.page.get_by_role("navigation", name=self.text("Main"))
        self.visitor.follow(main.get_by_role("link", name=self.text(english)))
        expect(self.page.get_by_role("heading", level=1, name=self.text(english))).to_be_visible()

    def looks(self, name: str) -> None:
        """Check what is shown, and take a picture of it."""
        assert self.page.evaluate(OVERFLOWS) == [], name
        if self._language.tag == "en":  # the same page in another language has the same structure and colours
            assert faults(self.page) == [], name
        assert self.page.locator("h1:visible").count() == 1, name
        self.visitor.picture(name)
        if self._is_in_guide:
            folder = Path(str(GUIDE))
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{self._language.tag}-{name}.png")


@pytest.fixture
def walk(visit: Visit, poor_address: str) -> Callable[[str, int, Scheme], Walker]:
    def begin(language: str, width: int, scheme: Scheme) -> Walker:
        viewport = ViewportSize(width=width, height=800)
        visitor = visit(poor_address, viewport, scheme, locale={"en": "en-US", "ru": "ru-RU"}[language])
        visitor.may_be_refused = {402}
        return Walker(visitor, language, is_in_guide=(language, width, scheme) in IN_GUIDE)

    return begin


@pytest.mark.parametrize(("language", "width", "scheme"), SCREENS)
def test_a_new_user_chats_runs_out_pays_and_finds_what_was_spent(
    walk: Callable[[str, int, Scheme], Walker], language: str, width: int, scheme: Scheme
) -> None:
    user = walk(language, width, scheme)
    page, name = user.page, f"walk-{language}-{width}-{scheme}"

    user.visitor.arrive()
    expect(page.locator("html")).to_have_attribute("lang", language)
    user.looks("1-sign-in")
    page.get_by_role("tab", name=user.text("Create account")).click()
    page.get_by_label(user.text("Username"), exact=True).fill(name)
    page.get_by_label(user.text("E-mail"), exact=True).fill(f"{name}@example.org")
    page.locator("#new-password").fill(PASSWORD)
    user.looks("2-register")
    page.keyboard.press("Enter")

    user.visitor.is_in()
    box, balance = (
        page.get_by_role("textbox", name=user.text("Message")),
        page.get_by_role("status", name=user.text("Balance")),
    )
    expect(balance).to_have_text(user.credits(2))
    user.looks("3-first-screen")

    log = page.get_by_role("log", name=user.text("Conversation"))
    for sent, question in enumerate(QUESTIONS[language], 1):
        box.fill(question)
        box.press("Enter")
        expect(log.get_by_role("button", name=user.text("Copy reply"))).to_have_count(sent)
        expect(balance).to_have_text(user.credits(2 - sent))
    user.looks("4-chat")

    box.fill(ONE_MORE[language])
    box.press("Enter")
    expect(page.get_by_role("alert").filter(has_text=user.credits(1))).to_be_visible()
    expect(box).to_have_value(ONE_MORE[language])
    user.looks("5-out-of-credits")
    user.button("Add credits").click()

    user.button("Continue").click()
    expect(user.button("Confirm")).to_be_visible()
    user.looks("6-confirm")
    user.button("Confirm").click()
    link = page.get_by_role("dialog").get_by_role("link")
    expect(link).to_be_visible()
    expect(balance).to_have_text(user.credits(100))
    expect(page.locator("#cb-wallet .cb-big")).to_have_text("100")
    user.looks("7-paid")
    # It sends what was kept.
    link.click()
    expect(log.get_by_role("button", name=user.text("Copy reply"))).to_have_count(3)
    expect(balance).to_have_text(user.credits(99))

    user.opens("History")
    table = page.get_by_role("table", name=user.text("History"))
    expect(table.locator("button[data-load]")).to_have_count(3)
    user.looks("8-history")
    user.opens("Credits")
    transactions = page.get_by_role("table", name=user.text("Transactions"))
    expect(transactions.locator("tbody tr")).to_have_count(5)
    transactions.scroll_into_view_if_needed()
    user.looks("9-credits")
    user.opens("Account")
    user.looks("10-account")
