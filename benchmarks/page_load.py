"""What a cold load of the chat takes in Chromium: bytes over the wire, requests, and the time until one can write.

    python -m benchmarks.page_load [LOADS] [--open-webui PROGRAM]

It starts the service with the scripted engine, and prints medians on a fast network and one load on slow 3G, as the
developer tools of Chromium define it. Each load has an empty cache and a person that is signed in. With the program of
an installed Open WebUI, the chat of that page is loaded in turns with ours; its models are those of our service.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.open_webui import serving_open_webui
from benchmarks.page import PORT, client, serving

SLOW_3G = {"offline": False, "latency": 2_000, "downloadThroughput": 51_200, "uploadThroughput": 51_200}
ARGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage")
ADDRESS = f"http://127.0.0.1:{PORT}"
TIMEOUT_MS = 600_000
QUIET_ROUNDS = 20
CAN_WRITE = """([box, cover]) => {
    const found = document.querySelector(box);
    if (!found || document.querySelector(cover) || !(found.isContentEditable || found.disabled === false)) return false;
    const place = found.getBoundingClientRect();
    return found.contains(document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2));
}"""


@dataclass(frozen=True)
class Chat:
    """A chat to load: its box for messages, what covers the page until one can write, and what comes last."""

    name: str
    address: str
    cookies: list[Any]
    box: str
    cover: str
    last: str
    script: str = ""


@dataclass
class Load:
    """One load. Times are seconds from the navigation; `settled_bytes` also has what comes after one can write."""

    painted_s: float = 0
    useful_s: float = 0
    useful_bytes: int = 0
    settled_bytes: int = 0
    requests: list[tuple[int, str]] = field(default_factory=list)
    chunks: int = 0
    encodings: Counter[str] = field(default_factory=Counter)


def load(browser: Browser, chat: Chat, network: dict[str, Any] | None = None) -> Load:
    """Open the chat with an empty cache; return what that took."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies(chat.cookies)
    if chat.script:
        context.add_init_script(chat.script)
    page, found = context.new_page(), Load()
    _watch(context.new_cdp_session(page), found, network)
    started = time.perf_counter()
    page.goto(chat.address, wait_until="commit", timeout=TIMEOUT_MS)
    page.wait_for_function(CAN_WRITE, arg=[chat.box, chat.cover], timeout=TIMEOUT_MS)
    found.useful_s = time.perf_counter() - started
    found.useful_bytes = sum(size for size, _ in found.requests)
    page.wait_for_selector(chat.last, state="attached", timeout=TIMEOUT_MS)
    _settle(page, found, 2_000 if network is None else 8_000)
    found.settled_bytes = sum(size for size, _ in found.requests)
    paints = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    found.painted_s = page.evaluate(paints) / 1_000
    context.close()
    return found


def _watch(session: CDPSession, found: Load, network: dict[str, Any] | None) -> None:
    """Note the requests that end, and how their answers are packed."""
    urls: dict[str, str] = {}
    streams: set[str] = set()

    def answered(event: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in event["response"]["headers"].items()}
        found.encodings[headers.get("content-encoding", "as it is")] += 1
        if event["response"]["mimeType"] == "text/event-stream":
            streams.add(event["requestId"])

    def received(event: dict[str, Any]) -> None:
        found.chunks += event["requestId"] not in streams

    session.send("Network.enable")
    if network:
        session.send("Network.emulateNetworkConditions", network)
    session.on("Network.requestWillBeSent", lambda sent: urls.update({sent["requestId"]: sent["request"]["url"]}))
    session.on("Network.responseReceived", answered)
    session.on("Network.dataReceived", received)
    session.on(
        "Network.loadingFinished",
        lambda done: found.requests.append((int(done["encodedDataLength"]), urls.get(done["requestId"], ""))),
    )


def _settle(page: Page, found: Load, quiet_ms: int) -> None:
    """Wait until nothing is received for a while, streams of events apart."""
    for _ in range(QUIET_ROUNDS):
        seen = found.chunks
        page.wait_for_timeout(quiet_ms)
        if found.chunks == seen:
            break


def ours(person: httpx.Client) -> Chat:
    """Register a person; return our chat."""
    fields = {"username": "loader", "email": "l@example.org", "password": "correct horse battery staple"}
    person.post("/web/registration", json=fields).raise_for_status()
    cookies = [{"name": name, "value": value, "url": ADDRESS} for name, value in person.cookies.items()]
    return Chat("chatbill", f"{ADDRESS}/ui/", cookies, "#cb-box", "#cb-frame[inert]", "gradio-app .gradio-container")


def theirs(running: ExitStack, program: Path) -> Chat:
    """Start Open WebUI with the models of our service; return its chat."""
    with client() as person:
        fields = {"username": "loader", "password": "correct horse battery staple"}
        token = person.post("/auth/login", json=fields).raise_for_status().json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        made = person.post("/auth/api-keys", json={"name": "Open WebUI"}, headers=bearer).raise_for_status().json()
    started = running.enter_context(serving_open_webui(program, upstream=f"{ADDRESS}/v1", key=made["key"]))
    cookies = [{"name": "token", "value": started.token, "url": started.address}]
    script = f"localStorage.token = {started.token!r}"
    name = f"Open WebUI {started.version}"
    return Chat(name, f"{started.address}/", cookies, "#chat-input", "#splash-screen", "#chat-input", script)


def main(loads: int, beside: Path | None) -> None:
    """Measure each chat in turns, and print a table."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    path = os.environ.get("CHATBILL_TEST_CHROMIUM") or path
    with serving(), client() as person, sync_playwright() as playwright, ExitStack() as running:
        chats = [ours(person)]
        if beside:
            chats.append(theirs(running, beside))
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        for chat in chats:
            load(browser, chat)  # a service may pack its files once
        rounds = [[load(browser, chat) for chat in chats] for _ in range(loads)]
        slow = [load(browser, chat, SLOW_3G) for chat in chats]
        browser.close()
    for number, chat in enumerate(chats):
        _tell(f"{chat.name}, fast network", [each[number] for each in rounds])
        _tell(f"{chat.name}, slow 3G", [slow[number]])
    if beside:
        _compare("fast network", rounds)
        _compare("slow 3G", [slow])
    for number, chat in enumerate(chats):
        _list(chat, rounds[-1][number])


def _tell(name: str, loads: list[Load]) -> None:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    sys.stdout.write(
        f"{name:32} painted {median([each.painted_s for each in loads]):6.2f} s"
        f"  one can write {median([each.useful_s for each in loads]):6.2f} s"
        f" after {median([each.useful_bytes for each in loads]) / 1_000:6.0f} KB"
        f"  in all {median([each.settled_bytes for each in loads]) / 1_000:6.0f} KB"
        f" in {median([len(each.requests) for each in loads]):3.0f} requests\n"
    )


def _compare(name: str, rounds: list[list[Load]]) -> None:
    """Print the medians of what the other page takes for each unit of ours, round by round."""
    seconds = statistics.median(other.useful_s / own.useful_s for own, other in rounds)
    size = statistics.median(other.settled_bytes / own.settled_bytes for own, other in rounds)
    sys.stdout.write(f"the other / ours, {name}: {seconds:.1f} times the seconds, {size:.1f} times the bytes\n")


def _list(chat: Chat, found: Load) -> None:
    packed = ", ".join(f"{count} {encoding}" for encoding, count in found.encodings.most_common())
    sys.stdout.write(f"{chat.name}, answers by their encoding: {packed}; the largest:\n")
    for size, url in sorted(found.requests, reverse=True)[:12]:
        sys.stdout.write(f"  {size:8} {httpx.URL(url).path}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loads", nargs="?", type=int, default=5)
    parser.add_argument("--open-webui", metavar="PROGRAM", type=Path, help="the installed `open-webui`")
    chosen = parser.parse_args()
    main(chosen.loads, chosen.open_webui)
