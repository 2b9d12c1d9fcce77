"""A user of the page in a browser window, and the errors of the window."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.kit.support import PASSWORD

SCREENSHOTS = Path(os.environ.get("CHATBILL_SCREENSHOTS", Path(__file__).parents[2] / "build" / "screenshots"))

HARMLESS = (
    # Rejected requests are checked by their status.
    "Failed to load resource",
    # Gradio logs these when a page is closed while it waits for an answer.
    "AbortError: signal is aborted",
    "Connection errored out",
    # It logs these when a page is left, or its service killed, while it starts. A missing file is seen by its status.
    "Unable to preload CSS",
    "Failed to fetch dynamically imported module",
    # Browsers ignore this header without HTTPS, and log it.
    "The Cross-Origin-Opener-Policy header has been ignored",
)


class Visitor:
    """A browser window with its console `errors`, requests to other hosts, and rejected requests."""

    def __init__(self, page: Page, address: str, *, prefix: str) -> None:
        self.page = page
        self.address = address
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.refused: list[int] = []
        self.may_be_refused: set[int] = set()
        self._prefix = prefix
        self.watch(page)

    def watch(self, page: Page) -> None:
        """Record the errors of a tab."""
        host = urlsplit(self.address).netloc
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._saw(str(error)))
        page.on("request", lambda sent: self._went(sent.url, host))
        page.on("response", lambda answer: self.refused.append(answer.status) if answer.status >= 400 else None)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._saw(message.text)

    def _saw(self, error: str) -> None:
        if not any(words in error for words in HARMLESS):
            self.errors.append(error)

    def _went(self, url: str, host: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != host:
            self.strangers.append(url)

    def arrive(self) -> Visitor:
        self.page.goto(f"{self.address}/")
        return self

    def register(self, name: str) -> Visitor:
        page = self.arrive().page
        page.get_by_role("tab", name="Create account").click()
        page.get_by_label("Username", exact=True).fill(name)
        page.get_by_label("E-mail", exact=True).fill(f"{name}@example.org")
        page.locator("#new-password").fill(PASSWORD)
        page.keyboard.press("Enter")
        return self.is_in()

    def sign_in(self, login: str, password: str = PASSWORD) -> Visitor:
        return self.tries_to_sign_in(login, password).is_in()

    def tries_to_sign_in(self, login: str, password: str = PASSWORD) -> Visitor:
        """Send the form for sign-in, whatever the answer will be."""
        name = self.page.get_by_label("Username or e-mail")
        expect(name).to_be_focused()  # by the script of the page, which sends the form
        name.fill(login)
        self.page.locator("#password").fill(password)
        self.page.keyboard.press("Enter")
        return self

    def is_in(self) -> Visitor:
        """Expect a view in the frame, whose script has started: it puts the view in anew."""
        expect(self.page.locator("#cb-frame:not([aria-busy]) #cb-view > [data-name]")).to_be_visible()
        return self

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Wait until the view that is opened here is in the place of the one before, and has all of its parts."""
        before = self.page.locator("#cb-view > *").first.element_handle()
        yield
        self.page.wait_for_function("(view) => !view.isConnected", arg=before)
        expect(self.page.locator("#cb-view .cb-skeleton")).to_have_count(0)

    def follow(self, link: Locator) -> Visitor:
        """Open the view to which a link leads."""
        with self.opening():
            link.click()
        return self

    def goes(self, place: str) -> Visitor:
        """Open a view by its link in the navigation."""
        return self.follow(self.page.get_by_role("navigation", name="Main").get_by_role("link", name=place))

    def send(self, text: str) -> Visitor:
        """Send a message, and wait until the service has answered, or until it waits for the reply before it."""
        self.submit(text)
        expect(self.chat.locator(".cb-pending:not(.cb-queued)")).to_have_count(0)
        return self

    def submit(self, text: str) -> Visitor:
        """Type a message and send it, whether an answer comes or not."""
        self.box.fill(text)
        self.box.press("Enter")
        return self

    def has_said(self, login: str, count: int) -> Visitor:
        """Send so many messages of one conversation through the API, and open it."""
        with httpx.Client(base_url=self.address) as api:
            token = api.post("/auth/login", json={"username": login, "password": PASSWORD}).json()["access_token"]
            api.headers["Authorization"] = f"Bearer {token}"
            conversation = None
            for number in range(count):
                text = f"Number {number} [[tokens:1]]"
                message = {"model": "demo-mini", "message": text, "conversation_id": conversation}
                conversation = api.post("/chat/message", json=message).raise_for_status().json()["conversation_id"]
        self.page.goto(f"{self.address}/ui/c/{conversation}")
        return self

    def is_named(self) -> Visitor:
        """Expect that the address names the open conversation."""
        expect(self.page).to_have_url(re.compile(r"/ui/c/[\w-]{8,}$"))
        return self

    def sees_balance(self, credits_text: str) -> Visitor:
        expect(self.page.get_by_label("Balance")).to_have_text(credits_text)
        return self

    def press(self, name: str) -> Visitor:
        self.page.get_by_role("button", name=name, exact=True).click()
        return self

    def sign_out(self) -> Visitor:
        """Sign out. The price of a draft, a list or an event may still be asked for meanwhile."""
        self.may_be_refused = {*self.may_be_refused, 401}
        return self.press("Sign out")

    def hear_nothing(self) -> Visitor:
        """Close the event connection, which this page holds, and which would tell it what happened elsewhere."""
        self.page.wait_for_function("source")
        self.page.evaluate("source.close()")
        return self

    def sign_out_elsewhere(self) -> Page:
        """Sign out in another tab of the same browser, and return the tab."""
        other = self.page.context.new_page()
        other.goto(f"{self.address}/ui/")
        other.get_by_role("button", name="Sign out").click()
        expect(other.get_by_role("tab", name="Sign in")).to_be_visible()
        return other

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message")

    @property
    def chat(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def replies(self) -> Locator:
        return self.chat.locator(".cb-md")

    @property
    def messages(self) -> Locator:
        return self.chat.locator(".cb-asked .cb-said")

    @property
    def small_print(self) -> Locator:
        """What is said under each reply: its model, its cost and its duration."""
        return self.chat.locator(".cb-replied .cb-aside")

    @property
    def conversations(self) -> Locator:
        return self.page.get_by_role("navigation", name="Conversations").get_by_role("link")

    def choose(self, model: str) -> Visitor:
        """Choose a model by the beginning of its name."""
        self.page.get_by_role("radiogroup", name="Model").get_by_role("radio", name=model).check()
        return self

    def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{self._prefix}-{name}.png")
