"""Many tabs of one browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_credits import client_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TABS = 8
SLOW = "[[pause:0.2]] [[tokens:150]] Tell me slowly"


# Playwright looks at growing intervals whether something has changed, so the page itself measures.
STOPPED = """button => new Promise(done => {
    const began = performance.now();
    const log = document.querySelector("[role=log]");
    const isOver = () => !button.checkVisibility() && log.innerText.includes("· stopped");
    const look = () => isOver() ? done((performance.now() - began) / 1000) : setTimeout(look, 5);
    button.click();
    look();
})"""


def opened(page: Page, address: str) -> Page:
    page.goto(f"{address}/ui/")
    expect(page.get_by_role("textbox", name="Message")).to_be_enabled()
    return page


def stopped_in(page: Page) -> float:
    """Stop the reply of a tab; return the seconds until the tab shows its end."""
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible()
    seconds: float = stop.evaluate(STOPPED)
    expect(stop).to_be_hidden()
    return seconds


@pytest.mark.parametrize("host", ["127.0.0.1", "chat.test"])
def test_eight_tabs_of_one_browser_work_while_three_of_them_write(visit: Visit, address: str, host: str) -> None:
    address = address.replace("127.0.0.1", host)
    first = visit(address).register(f"tabs.{host}")
    # Browsers have locks on pages of HTTPS and of this machine alone.
    assert first.page.evaluate("'locks' in navigator") == (host != "chat.test")
    if host != "chat.test":
        first.page.wait_for_function("source")  # a lock is given a moment later
    tabs = [first.page]
    for _ in range(TABS - 1):
        page = first.page.context.new_page()
        first.watch(page)
        tabs.append(opened(page, address))
    streams = [page.evaluate("source ? 1 : 0") for page in tabs]
    assert sum(streams) == (1 if host != "chat.test" else 0), streams
    for page in tabs[:3]:
        box = page.get_by_role("textbox", name="Message")
        box.fill(SLOW)
        box.press("Enter")
    for page in tabs[:3]:
        expect(page.get_by_role("log").locator(".cb-md").last).to_contain_text("slowly")
    took = [stopped_in(page) for page in tabs[:3]]
    print("Stop took", ", ".join(f"{seconds:.2f} s" for seconds in took))  # noqa: T201 - a figure
    assert max(took) < 5, took  # 0.5 s where nothing else runs on the machine
    for page in tabs:
        expect(page.get_by_role("status", name="Balance")).to_have_text("97 credits")


def test_every_tab_shows_what_the_api_spends(visit: Visit, address: str) -> None:
    person = visit(address).register("spender")
    other = opened(person.page.context.new_page(), address)
    with client_of(address, "spender") as api:
        api.post("/chat/message", json={"model": "demo-mini", "message": "hello"}).raise_for_status()
    for page in (person.page, other):
        expect(page.get_by_role("status", name="Balance")).to_have_text("99 credits")


def test_a_tab_takes_the_connection_over_when_its_holder_is_closed(visit: Visit, address: str) -> None:
    person = visit(address).register("heir")
    other = opened(person.page.context.new_page(), address)
    person.watch(other)
    person.page.close()
    box = other.get_by_role("textbox", name="Message")
    box.fill("[[tokens:5]] still here")
    box.press("Enter")
    expect(other.get_by_role("status", name="Balance")).to_have_text("99 credits")
    expect(other.get_by_role("button", name="Copy reply")).to_be_visible()
