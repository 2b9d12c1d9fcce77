"""A real server and a real Chromium. Screenshots go to CHATBILL_SCREENSHOTS, by default build/screenshots."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from tests.browser.visitor import Visitor
from tests.kit.forking import start

ROOT = Path(__file__).parents[2]
# Chromium without its window first: the same engine, in half of the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: tests run as root in containers, and visit nothing but this service.
# The other host name stands for pages that are not from HTTPS or localhost.
ARGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP chat.test 127.0.0.1",
)
WIDE = ViewportSize(width=1400, height=900)
PATIENCE_MS = 30_000
STOP_S = 20

Scheme = Literal["light", "dark"]
Visit = Callable[..., Visitor]


# Not for the whole session, because no other event loop can run in this thread while Playwright runs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHATBILL_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("NO BROWSER: the page was not tested. Install Chromium or set CHATBILL_TEST_CHROMIUM to its path.")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield chromium
        chromium.close()


@contextlib.contextmanager
def serving(welcome_credits: int, engine: str = "scripted") -> Iterator[str]:
    """Run a server whose new users get these credits, and return its address. See `tests.browser.server`."""
    process = start("tests.browser.server", str(welcome_credits), engine, environment=os.environ, errors=2)
    assert process.stdout
    with process.stdout:
        try:
            address = process.stdout.readline().strip()
            assert address, "the server did not start"
            yield address
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_S)
            finally:
                process.kill()


# For each file, so that people of one file do not have the names of people in another.
@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(100) as address:
        yield address


@pytest.fixture(scope="module")
def poor_address() -> Iterator[str]:
    with serving(2) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Return a function that opens the page in a new browser window. Fails if a window had errors."""
    visitors: list[Visitor] = []

    def open_page(
        address: str,
        viewport: ViewportSize = WIDE,
        color_scheme: Scheme = "light",
        locale: str = "en-US",
        **screen: Any,
    ) -> Visitor:
        context = browser.new_context(viewport=viewport, color_scheme=color_scheme, locale=locale, **screen)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(page, address, prefix=str(request.node.name).removeprefix("test_"))
        visitors.append(visitor)
        return visitor

    yield open_page
    for visitor in visitors:
        visitor.page.context.close()
    for visitor in visitors:
        assert not visitor.errors
        assert not visitor.strangers
        assert set(visitor.refused) <= visitor.may_be_refused
