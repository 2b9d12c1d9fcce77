"""Two services behind nginx on one PostgreSQL, under load: rolling restarts, a `kill -9`, a restart of the database."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from chatbill.adapters.persistence import open_store
from chatbill.application.ports.store import Store
from tests.kit.proxies import free_port, program
from tests.kit.waiting import eventually
from tests.service.process import Service
from tests.torture.bench import Figures, Task
from tests.torture.books import problems
from tests.torture.client import Journal
from tests.torture.crash_service import OPEN, populate, take_down
from tests.torture.databases import EMPTY, Database, postgres_server

CLIENTS_EACH = 4
DRAIN_S = 2.0
RELEASED_WITHIN_S = 40.0
REPEATED_AFTER_S = 0.05
FAR = datetime.max.replace(tzinfo=UTC)
NGINX = """
daemon off; pid nginx.pid; error_log nginx.log error;
events {}
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream chatbill { server 127.0.0.1:FIRST max_fails=0; server 127.0.0.1:SECOND max_fails=0; keepalive 16; }
  server {
    listen 127.0.0.1:PORT;
    location / { proxy_pass http://chatbill; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
"""


@dataclass
class Seen:
    """What the clients saw. `phase` is what is being done to the services at that moment."""

    phase: str = "calm"
    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    answered_at: float = math.inf
    longest_pause_s: dict[str, float] = field(default_factory=dict)
    slowest_s: float = 0

    def answered(self, began: float) -> None:
        """Note that a request has its final answer."""
        now = time.monotonic()
        self.answers[self.phase] += 1
        self.longest_pause_s[self.phase] = max(self.longest_pause_s.get(self.phase, 0), now - self.answered_at)
        self.answered_at, self.slowest_s = now, max(self.slowest_s, now - began)


def run(task: Task) -> Figures:
    """So many seconds of load."""
    with postgres_server(durable=True) as (url, server):
        address = url.replace("/postgres?", f"/{EMPTY}?")
        try:
            return asyncio.run(_run(task, address, server))
        finally:
            server.stop()


async def _run(task: Task, address: str, server: Any) -> Figures:
    variables = OPEN | {
        "CHATBILL_DATABASE_URL": address,
        "CHATBILL_SECRET_KEY": "k" * 40,
        "CHATBILL_DRAIN_S": f"{DRAIN_S}",
        "CHATBILL_TRUSTED_PROXIES": "127.0.0.1",
    }
    ports = [free_port() for _ in range(3)]
    services = [Service(task.folder / str(port), variables, port=port) for port in ports[:2]]
    store, journal, seen = open_store(address), Journal(), Seen()
    try:
        for each in services:
            each.start()
        with nginx(task.folder, ports):
            tokens = await populate(services[0], Database(address), journal)
            seen.answered_at = time.monotonic()
            await _load_and_blows(task, services, server, Front(f"http://127.0.0.1:{ports[2]}", tokens, journal, seen))
        waited_s = await released(store)
        found = await problems(store, journal)
        verdict = await asyncio.to_thread(services[1].verify)
    finally:
        for each in services:
            if each.url:
                each.kill()
        await store.close()
    if waited_s > RELEASED_WITHIN_S:
        found.append(f"holds of dead processes were left for {waited_s:.0f} s")
    return Figures(
        attempts=len(journal.asked),
        successes=journal.answers,
        problems=found,
        notes=f"{sum(seen.failures.values())} requests failed and were repeated; the slowest answer took "
        f"{seen.slowest_s:.1f} s with its repetitions; verify exits 0 over {verdict['charges']} charges; the last hold "
        f"was settled {waited_s:.0f} s after the load",
        lines=[*rows(seen), *told_by_nginx(task.folder)],
    )


@dataclass(frozen=True)
class Front:
    """What clients need: the address of nginx, their tokens, and where they note what they see."""

    url: str
    tokens: dict[str, str]
    journal: Journal
    seen: Seen


async def _load_and_blows(task: Task, services: list[Service], server: Any, front: Front) -> None:
    clients = [
        asyncio.create_task(load(front, user_id, f"{number}"))
        for user_id in front.tokens
        for number in range(CLIENTS_EACH)
    ]
    blows: list[tuple[str, Callable[[], None]]] = [
        ("rolling restart", partial(restart, services)),
        ("rolling restart again", partial(restart, services)),
        ("kill -9", partial(crash, services[0])),
        ("database restart", partial(restart_database, server)),
    ]
    try:
        for name, blow in blows:
            front.seen.phase = "calm"
            await asyncio.sleep(task.size / (2 * len(blows)))
            front.seen.phase = name
            until = time.monotonic() + task.size / (2 * len(blows))
            await asyncio.to_thread(blow)
            await asyncio.sleep(max(0, until - time.monotonic()))
    finally:
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
    for client in clients:
        if not client.cancelled():
            client.result()


def restart(services: list[Service]) -> None:
    """Restart one service after the other, as an operator does."""
    for service in services:
        assert service.stop() == 0, "".join(service.output[-20:])
        service.start()


def crash(service: Service) -> None:
    """Kill a service, and start it again."""
    service.kill()
    service.start()


def restart_database(server: Any) -> None:
    """Restart PostgreSQL."""
    server.stop()
    server.ensure_postgres_running()


async def load(front: Front, user_id: str, tag: str) -> None:
    """Ask without a pause; what fails is asked again with its key, until there is a final answer."""
    async with httpx.AsyncClient(
        base_url=front.url, headers={"Authorization": f"Bearer {front.tokens[user_id]}"}, timeout=60
    ) as client:
        number = 0
        while True:
            name = f"ask-{user_id[-6:]}-{tag}-{number}"
            number += 1
            front.journal.note({"asked": name, "by": user_id})
            began = time.monotonic()
            await eventually(partial(answered, client, front, name), within_s=120, every_s=REPEATED_AFTER_S)
            front.seen.answered(began)


async def answered(client: httpx.AsyncClient, front: Front, name: str) -> bool:
    """Ask; return whether the answer is final."""
    body = {"model": "demo-mini", "message": f"{name} [[sleep:0.05]]"}
    try:
        answer = await client.post("/chat/message", json=body, headers={"Idempotency-Key": name})
    except httpx.TransportError as error:
        front.seen.failures[f"{front.seen.phase}: {type(error).__name__}"] += 1
        return False
    if answer.status_code == httpx.codes.OK:
        take_down(front.journal, name, answer.json())
        return True
    code = answer.json()["code"] if "json" in answer.headers.get("Content-Type", "") else "of nginx"
    if code == "request_interrupted":
        front.journal.note({"ended": name})
        return True
    if code != "request_in_progress":
        front.seen.failures[f"{front.seen.phase}: {answer.status_code} {code}"] += 1
    return False


async def released(store: Store) -> float:
    """Wait until no hold is pending; return how long it took."""
    began = time.monotonic()
    while time.monotonic() - began <= RELEASED_WITHIN_S:
        if not await store.read(lambda snapshot: snapshot.holds.due(FAR, 1)):
            break
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def rows(seen: Seen) -> list[str]:
    """Return a line for each phase, and one for each kind of failure."""
    phases = [
        f"{phase} | {count:,} answers | longest pause {seen.longest_pause_s[phase]:.2f} s"
        for phase, count in seen.answers.items()
    ]
    return [*phases, *(f"{name} | {count} | repeated" for name, count in sorted(seen.failures.items()))]


def told_by_nginx(folder: Path) -> list[str]:
    """Return a line for each kind of error in the log of nginx."""
    log = (folder / "nginx.log").read_text(encoding="utf-8")
    found = Counter(re.findall(r"\*\d+ (.*?), client:", log))
    return [f"nginx: {error} | {count} | " for error, count in found.items()]


@contextlib.contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[None]:
    """Run nginx before the services."""
    binary = program("nginx")
    assert binary, "nginx is not installed"
    text = NGINX
    for name, port in zip(("FIRST", "SECOND", "PORT"), ports, strict=True):
        text = text.replace(name, str(port))
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    process = subprocess.Popen([binary, "-p", str(folder), "-c", "nginx.conf"], cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
