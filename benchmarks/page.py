"""What a reply costs on the web page, beside the same reply streamed by the API: bytes, first words, processor time.

`python -m benchmarks.page [REPLIES]` starts the service with the scripted engine and prints a table. Each reply has 400
tokens, in a new conversation and in one of a hundred exchanges. Both ways take turns.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import httpx
import psutil

PASSWORD = "correct horse battery staple"  # noqa: S105 - of an account that lives for a minute
TEXT = "[[pause:0.004]] [[tokens:400]] Tell me **about** the tides"
EXCHANGES = 100
with socket.create_server(("127.0.0.1", 0)) as _free:
    PORT = _free.getsockname()[1]


@dataclass
class Figures:
    """Of each reply: bytes that were received, seconds until the first words, seconds of the server's processor."""

    sizes: list[int] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[psutil.Process]:
    """Run the service on an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "CHATBILL_DATA_DIR": folder,
            "CHATBILL_ENGINE": "scripted",
            "CHATBILL_WELCOME_CREDITS": "1000000",
            "CHATBILL_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "chatbill", "serve", "--port", str(PORT)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            for _ in range(600):
                try:
                    if httpx.get(f"http://127.0.0.1:{PORT}/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            try:
                yield psutil.Process(process.pid)
            finally:
                process.terminate()


def client() -> httpx.Client:
    """Return a client that sends its origin, as a browser does."""
    address = f"http://127.0.0.1:{PORT}"
    return httpx.Client(base_url=address, timeout=120, headers={"Origin": address, "Sec-Fetch-Site": "same-origin"})


def by_api(browser: httpx.Client, token: str, conversation: str | None) -> tuple[int, float]:
    """Stream a reply; return the bytes and the seconds until its first words."""
    body = {"model": "demo-mini", "message": TEXT, "conversation_id": conversation}
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    started, first, size = time.perf_counter(), 0.0, 0
    with browser.stream("POST", "/chat/message", json=body, headers=headers) as answer:
        for chunk in answer.iter_raw():
            if not first and b"event: delta" in chunk:
                first = time.perf_counter() - started
            size += len(chunk)
    return size, first


class Events:
    """The event connection of a page, read on a thread."""

    def __init__(self, browser: httpx.Client) -> None:
        self.told: Queue[tuple[float, str, dict[str, str]]] = Queue()
        self.size = 0
        self._browser = browser
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # The connection is closed under it when all is measured.
        with suppress(httpx.TransportError):
            self._listen()

    def _listen(self) -> None:
        rest = b""
        with self._browser.stream("GET", "/web/events") as answer:
            for chunk in answer.iter_raw():
                self.size += len(chunk)
                *frames, rest = (rest + chunk).split(b"\n\n")
                for frame in frames:
                    fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line[:10])
                    if b"event" in fields:
                        self.told.put((time.perf_counter(), fields[b"event"].decode(), json.loads(fields[b"data"])))


def by_page(browser: httpx.Client, events: Events, conversation: str | None) -> tuple[int, float]:
    """Send a message as the page does, and load its turn at the end; return the bytes and the time of first words."""
    while not events.told.empty():
        events.told.get()
    before, started, first = events.size, time.perf_counter(), 0.0
    body = {"model": "demo-mini", "text": TEXT, "conversation_id": conversation or "", "parent_id": "", "key": ""}
    sent = browser.post("/web/chat/messages", json=body)
    sent.raise_for_status()
    size = len(sent.content)
    while True:
        at, name, data = events.told.get(timeout=60)
        if data.get("id") != sent.json()["id"]:
            continue
        if name == "reply" and not first:
            first = at - started
        if name == "settled":
            break
    size += len(browser.get(f"/web/chat/turns/{sent.json()['id']}").content)
    return size + events.size - before, first


def measured(process: psutil.Process, figures: Figures, reply: Callable[[], tuple[int, float]]) -> None:
    """Add the figures of one reply."""
    used = sum(process.cpu_times()[:2])
    size, first = reply()
    figures.sizes.append(size)
    figures.first.append(first)
    figures.cpu.append(sum(process.cpu_times()[:2]) - used)


def main(replies: int) -> None:
    """Measure both ways in turns, and print what they took."""
    with serving() as process, client() as browser, client() as program, client() as stream:
        fields = {"username": "measured", "email": "m@example.org", "password": PASSWORD}
        browser.post("/web/registration", json=fields).raise_for_status()
        stream.cookies = browser.cookies
        signed_in = program.post("/auth/login", json={"username": "measured", "password": PASSWORD}).json()
        token = signed_in["access_token"]
        events = Events(stream)
        for name, conversation in (("a new conversation", None), ("a hundred exchanges", _long(program, token))):
            api, page = Figures(), Figures()
            for _ in range(replies):
                measured(process, api, lambda where=conversation: by_api(program, token, where))  # type: ignore[misc]
                measured(process, page, lambda where=conversation: by_page(browser, events, where))  # type: ignore[misc]
            _tell(name, api, page)


def _long(program: httpx.Client, token: str) -> str:
    """Make a conversation of many exchanges; return its id."""
    conversation: str | None = None
    for number in range(EXCHANGES):
        body = {"model": "demo-mini", "message": f"[[tokens:20]] Number {number}", "conversation_id": conversation}
        answer = program.post("/chat/message", json=body, headers={"Authorization": f"Bearer {token}"})
        while answer.status_code == 429:
            time.sleep(int(answer.headers["Retry-After"]))
            answer = program.post("/chat/message", json=body, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        conversation = answer.json()["conversation_id"]
    return str(conversation)


def _tell(name: str, api: Figures, page: Figures) -> None:
    for label, of_api, of_page, unit in (
        ("bytes", statistics.median(api.sizes), statistics.median(page.sizes), ""),
        ("first words", 1_000 * statistics.median(api.first), 1_000 * statistics.median(page.first), " ms"),
        ("processor", 1_000 * statistics.median(api.cpu), 1_000 * statistics.median(page.cpu), " ms"),
    ):
        ratio = of_page / of_api if of_api else 0
        sys.stdout.write(f"{name:22} {label:12} API {of_api:9.0f}{unit}  page {of_page:9.0f}{unit}  {ratio:.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.stdout.write(f"{Path('/proc/cpuinfo').read_text().count('processor')} processors, 400 tokens a reply\n")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
