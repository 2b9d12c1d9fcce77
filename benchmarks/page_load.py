"""What a cold load of the chat takes in Chromium: bytes over the wire, requests, and the time until one can write.

`python -m benchmarks.page_load [LOADS]` starts the service with the scripted engine, and prints medians on a fast
network and one load on slow 3G, as the developer tools of Chromium define it. Each load has an empty cache.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.page import PORT, client, serving

SLOW_3G = {"offline": False, "latency": 2_000, "downloadThroughput": 51_200, "uploadThroughput": 51_200}
ARGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage")
ADDRESS = f"http://127.0.0.1:{PORT}"
TIMEOUT_MS = 90_000


@dataclass
class Load:
    """One load. Times are seconds from the navigation; `settled_bytes` also has what comes after one can write."""

    painted_s: float = 0
    useful_s: float = 0
    useful_bytes: int = 0
    settled_bytes: int = 0
    requests: list[tuple[int, str]] = field(default_factory=list)


def load(browser: Browser, cookies: list[Any], network: dict[str, Any] | None = None) -> Load:
    """Open the chat with an empty cache; return what that took."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies(cookies)
    page, found, urls = context.new_page(), Load(), dict[str, str]()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    if network:
        session.send("Network.emulateNetworkConditions", network)
    session.on("Network.requestWillBeSent", lambda sent: urls.update({sent["requestId"]: sent["request"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda done: found.requests.append((int(done["encodedDataLength"]), urls.get(done["requestId"], ""))),
    )
    started = time.perf_counter()
    page.goto(f"{ADDRESS}/ui/", wait_until="commit", timeout=TIMEOUT_MS)
    page.wait_for_selector("#cb-box:enabled", timeout=TIMEOUT_MS)
    page.wait_for_function("!document.getElementById('cb-frame').inert", timeout=TIMEOUT_MS)
    found.useful_s = time.perf_counter() - started
    found.useful_bytes = sum(size for size, _ in found.requests)
    page.wait_for_selector("#cb-root #cb-frame", timeout=TIMEOUT_MS)
    page.wait_for_timeout(2_000 if network is None else 8_000)
    found.settled_bytes = sum(size for size, _ in found.requests)
    paints = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    found.painted_s = page.evaluate(paints) / 1_000
    context.close()
    return found


def main(loads: int) -> None:
    """Measure, and print a table."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    path = os.environ.get("CHATBILL_TEST_CHROMIUM") or path
    with serving(), client() as person, sync_playwright() as playwright:
        fields = {"username": "loader", "email": "l@example.org", "password": "correct horse battery staple"}
        person.post("/web/registration", json=fields).raise_for_status()
        cookies = [{"name": name, "value": value, "url": ADDRESS} for name, value in person.cookies.items()]
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        load(browser, cookies)  # the service packs its files once
        cold = [load(browser, cookies) for _ in range(loads)]
        slow = load(browser, cookies, SLOW_3G)
        browser.close()
    _tell("fast network", cold)
    _tell("slow 3G", [slow])
    for size, url in sorted(cold[-1].requests, reverse=True)[:12]:
        sys.stdout.write(f"  {size:8} {url.removeprefix(ADDRESS)}\n")


def _tell(name: str, loads: list[Load]) -> None:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    sys.stdout.write(
        f"{name:14} painted {median([each.painted_s for each in loads]):6.2f} s"
        f"  one can write {median([each.useful_s for each in loads]):6.2f} s"
        f" after {median([each.useful_bytes for each in loads]) / 1_000:6.0f} KB"
        f"  in all {median([each.settled_bytes for each in loads]) / 1_000:6.0f} KB"
        f" in {median([len(each.requests) for each in loads]):3.0f} requests\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
