"""Two services on one PostgreSQL and one Valkey behind nginx: each step at another process than the one before."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit import nginx, postgres, valkey
from tests.service.process import Service, events

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]
PASSWORD = "correct horse battery"
SLOW = "[[pause:0.1]] [[tokens:200]] slowly"


@dataclass
class Site:
    """Two services behind a balancer."""

    services: list[Service]
    url: str
    served_by: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def client(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        async def note(answer: httpx.Response) -> None:
            self.served_by[answer.headers.get("X-Served-By", "")] += 1

        hooks: Any = {"response": [note]}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, event_hooks=hooks) as client:
            yield client

    @asynccontextmanager
    async def person(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """Return a client of the API for a new person."""
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        async with self.client() as client:
            (await client.post("/auth/register", json=body)).raise_for_status()
            token = (await client.post("/auth/login", json=body)).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client

    @asynccontextmanager
    async def visitor(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """Return a client with the cookie of the page for a new person."""
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        async with self.client(Origin=self.url) as client:
            (await client.post("/web/registration", json=body)).raise_for_status()
            yield client


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Service]]:
    """Return a function that starts one more process of the same service."""
    environment = {
        "CHATBILL_DATABASE_URL": postgres.shared().empty(),
        "CHATBILL_SHARED_URL": valkey.shared().url,
        "CHATBILL_SECRET_KEY": "k" * 40,
        "CHATBILL_TRUSTED_PROXIES": "127.0.0.1",
    }
    with ExitStack() as running:

        def start() -> Service:
            service = Service(tmp_path_factory.mktemp("service"), environment, mode="all").start()
            running.callback(lambda: service.kill() if service.url else None)
            return service

        yield start


@pytest.fixture(scope="module")
def services(begin: Callable[[], Service]) -> list[Service]:
    return [begin(), begin()]


@pytest.fixture(params=["round robin", "sticky"])
def site(request: pytest.FixtureRequest, services: list[Service], tmp_path: Path) -> Iterator[Site]:
    choice = nginx.STICKY if request.param == "sticky" else nginx.ROUND_ROBIN
    with nginx.balancer(tmp_path, [each.url for each in services], choice) as url:
        yield Site(services, url)


@pytest.fixture
def scattered(services: list[Service], tmp_path: Path) -> Iterator[Site]:
    """Return the services behind a balancer that sends each request to the other one."""
    with nginx.balancer(tmp_path, [each.url for each in services]) as url:
        yield Site(services, url)


async def test_a_person_registers_chats_and_repeats_by_key(site: Site, request: pytest.FixtureRequest) -> None:
    name = f"ann-{request.node.callspec.id.replace(' ', '-')}"
    async with site.person(name) as client:
        first = await client.post("/chat/message", json={"model": "demo-mini", "message": "Hello"})
        assert first.status_code == 200
        body = {"model": "demo-mini", "message": "Once", "conversation_id": first.json()["conversation_id"]}
        answers = [await client.post("/chat/message", json=body, headers={"Idempotency-Key": name}) for _ in range(4)]
        assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
        assert (await client.get("/billing/balance")).json()["balance"] == 98
        assert (await client.get("/chat/history")).json()["items"][0]["prompt"] == "Once"
    if "round" in name:
        assert len(site.served_by) == 2


async def test_a_stream_is_not_held_back_and_is_stopped_at_the_other_process(scattered: Site) -> None:
    body = {"model": "demo-mini", "message": SLOW}
    async with (
        scattered.person("stopper") as client,
        client.stream("POST", "/chat/message", json=body, headers={"Accept": "text/event-stream"}) as answer,
    ):
        assert answer.headers["X-Served-By"]
        lines: list[str] = []
        async for line in answer.aiter_lines():
            lines.append(line)
            # The text arrives word by word: nginx passes on what it gets.
            if line == "event: delta" and lines.count(line) == 2:
                accepted = events(lines)[0][1]
                stopped = await client.post(f"/chat/interactions/{accepted['id']}/stop")
                assert stopped.status_code == 202
                assert stopped.headers["X-Served-By"] != answer.headers["X-Served-By"]
    name, done = events(lines)[-1]
    assert (name, done["outcome"]) == ("done", "stopped")
    assert done["usage"]["completion_tokens"] < 100


async def test_the_page_at_one_process_shows_and_stops_what_the_other_writes(scattered: Site) -> None:
    async with (
        scattered.visitor("visitor") as client,
        client.stream("GET", "/web/events") as page,
    ):
        told, lines = page.aiter_lines(), list[str]()
        fields = {"model": "demo-mini", "text": SLOW, "conversation": ""}
        while True:
            sent = await client.post("/web/chat/messages", json=fields)
            assert sent.status_code == 202, sent.text
            id_ = sent.json()["id"]
            if sent.headers["X-Served-By"] != page.headers["X-Served-By"]:
                break
            await client.post(f"/web/chat/turns/{id_}/stop")

        async def until(name: str) -> dict[str, Any]:
            async for line in told:
                lines.append(line)
                found = [data for told_name, data in events(lines) if told_name == name and data.get("id") == id_]
                if found:
                    return dict(found[-1])
            raise AssertionError(f"the connection ended before {name}")

        first = await asyncio.wait_for(until("reply"), 30)
        assert first["from"] == 0
        for _ in range(2):  # one of them is at another process than the writer
            assert (await client.post(f"/web/chat/turns/{id_}/stop")).is_success
        end = await asyncio.wait_for(until("settled"), 30)
        assert end["outcome"] == "stopped"
        view = await client.get(f"/web/chat/turns/{id_}")
        assert view.json()["id"] == id_


async def test_a_page_whose_process_ends_is_carried_to_another_with_the_running_reply(
    begin: Callable[[], Service], services: list[Service], tmp_path: Path
) -> None:
    doomed = await asyncio.to_thread(begin)
    with nginx.balancer(tmp_path, [doomed.url, services[0].url], "least_conn;") as url:
        site = Site(services, url)
        async with site.visitor("carried") as client:
            fields = {"model": "demo-mini", "text": "[[pause:0.1]] [[tokens:60]] over there", "conversation": ""}
            here = {"Origin": doomed.url}
            async with client.stream("GET", f"{doomed.url}/web/events") as page:
                sent = await client.post(f"{doomed.url}/web/chat/messages", json=fields, headers=here)
                assert sent.status_code == 202, sent.text
                async for line in page.aiter_lines():
                    if line == "event: reply":
                        break
            assert doomed.process
            doomed.process.send_signal(signal.SIGTERM)
            lines: list[str] = []
            async with client.stream("GET", f"{services[0].url}/web/events") as page:
                async for line in page.aiter_lines():
                    lines.append(line)
                    if line.startswith("data:") and any(name == "settled" for name, _ in events(lines)):
                        break
            view = await client.get(f"/web/chat/turns/{sent.json()['id']}")
            assert view.status_code == 200
    told = [(name, data) for name, data in events(lines) if data.get("id") == sent.json()["id"]]
    assert [name for name, _ in told].count("reply") > 3
    assert told[-1][1]["outcome"] == "completed"


async def test_views_of_the_page_are_served_by_any_process(scattered: Site) -> None:
    async with scattered.visitor("reader") as client:
        for _ in range(3):
            for path in ("/ui/", "/web/views/", "/web/views/credits", "/web/views/history", "/web/views/account"):
                answer = await client.get(path)
                assert answer.status_code == 200, path
    assert len(scattered.served_by) == 2


async def test_limits_hold_across_processes(site: Site, request: pytest.FixtureRequest) -> None:
    name = f"guess-{request.node.callspec.id.replace(' ', '-')}"
    async with site.person(name) as client:
        del client.headers["Authorization"]
        wrong = {"username": name, "password": "wrong horse battery"}
        statuses = [(await client.post("/auth/login", json=wrong)).status_code for _ in range(24)]
    assert Counter(statuses) == {401: 10, 429: 14}
