"""The service on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.postgres import Server, shared
from tests.kit.postgres import start as start_server
from tests.kit.postgres import stop as stop_server
from tests.service.process import Service, events

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


async def send(client: httpx.AsyncClient, message: str, **headers: str) -> httpx.Response:
    return await client.post(
        "/chat/message", json={"model": "demo-mini", "message": message}, headers={"Accept": "*/*"} | headers
    )


async def when(client: httpx.AsyncClient, path: str, is_so: Callable[[httpx.Response], bool]) -> Any:
    """Wait up to ten seconds for an answer that meets the condition, and return it."""
    deadline = time.monotonic() + 10
    while not is_so(answer := await client.get(path)):
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.05)
    return answer.json()


async def test_the_service_makes_its_tables_charges_rejects_and_verifies(service_on: Callable[..., Service]) -> None:
    service = service_on(shared().empty(), welcome_credits=10)
    async with service.client(await service.person()) as client:
        first = (await send(client, "good day to you")).json()
        assert (first["reply"], first["credits_charged"], first["balance"]) == ("good day to you", 1, 9)
        answers = await asyncio.gather(*(send(client, f"hello {number} [[sleep:0.2]]") for number in range(50)))
        assert Counter(answer.status_code for answer in answers) == {200: 9, 402: 41}
        assert (await client.get("/billing/balance")).json() == {"balance": 0, "held": 0, "available": 0}
        found = (await client.get("/chat/history", params={"q": "GOOD day"})).json()["items"]
        assert [item["id"] for item in found] == [first["id"]]
        assert (await client.get("/health/ready")).status_code == 200
    assert service.stop() == 0
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (10, 0)
    assert not list(service.data_dir.glob("*.sqlite3*"))


async def test_a_killed_service_charges_nothing_and_another_one_releases_its_hold(
    service_on: Callable[..., Service],
) -> None:
    url = shared().empty()
    timing = {"generation_timeout_s": 2, "hold_grace_s": 1, "sweep_interval_s": 0.5}
    doomed, other = service_on(url, **timing), service_on(url, **timing)
    token = await doomed.person()
    async with doomed.client(token) as client, other.client(token) as elsewhere:
        sending = asyncio.create_task(send(client, "never [[pause:0.2]] [[tokens:200]]"))
        await when(elsewhere, "/billing/balance", lambda answer: answer.json()["held"] == 1)
        doomed.kill()
        await asyncio.wait({sending})
        assert sending.exception()
        balance = await when(elsewhere, "/billing/balance", lambda answer: answer.json()["held"] == 0)
        assert balance == {"balance": 100, "held": 0, "available": 100}
        [item] = (await elsewhere.get("/chat/history")).json()["items"]
        assert (item["outcome"], item["credits_charged"]) == ("interrupted", 0)
    verdict = other.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (0, 0)


async def test_clients_can_use_two_services_on_one_database_as_one(service_on: Callable[..., Service]) -> None:
    url = shared().empty()
    services = [service_on(url, welcome_credits=10) for _ in range(2)]
    token = await services[0].person()
    async with services[0].client(token) as here, services[1].client(token) as there:
        once = {"Idempotency-Key": "once"}
        answers = await asyncio.gather(*(send(client, "hello", **once) for _ in range(50) for client in (here, there)))
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
        assert (await send(there, "hello", **once)).json() == (await send(here, "hello", **once)).json()
        more = await asyncio.gather(*(send(client, f"n{number}") for number in range(25) for client in (here, there)))
        assert Counter(answer.status_code for answer in more) == {200: 9, 402: 41}
        assert (await there.get("/billing/balance")).json() == {"balance": 0, "held": 0, "available": 0}
    assert services[0].verify()["charges"] == 10


async def test_a_reply_is_stopped_from_any_process_and_charged_for_the_delivered_text(
    service_on: Callable[..., Service],
) -> None:
    prices = json.dumps({"demo-mini": {"per_reply": 1, "per_1k_completion_tokens": 1_000}})
    url = shared().empty()
    writing, other = service_on(url, prices=prices), service_on(url, prices=prices)
    alice, bob = await writing.person("alice"), await other.person("bob")
    body = {"model": "demo-mini", "message": "count [[pause:0.1]] [[tokens:300]]", "max_tokens": 90}
    lines: list[str] = []
    async with writing.client(alice) as here, other.client(alice) as there, other.client(bob) as stranger:
        async with here.stream("POST", "/chat/message", json=body, headers={"Accept": "text/event-stream"}) as streamed:
            arriving = streamed.aiter_lines()
            while len(events(lines)) < 6:
                lines.append(await anext(arriving))
            stop = f"/chat/interactions/{events(lines)[0][1]['id']}/stop"
            assert (await stranger.post(stop)).status_code == 404
            answer = await there.post(stop)
            stopped_at = time.monotonic()
            lines += [line async for line in arriving]
        took_s = time.monotonic() - stopped_at
        assert answer.status_code == 202
        names = [name for name, _ in events(lines)]
        assert names == ["accepted", *["delta"] * (len(names) - 2), "done"]
        done = events(lines)[-1][1]
        delivered = done["usage"]["completion_tokens"]
        assert done["outcome"] == "stopped"
        assert done["reply"] == "".join(data["text"] for name, data in events(lines) if name == "delta")
        assert 5 <= delivered < 5 + 20
        assert done["credits_charged"] == 1 + delivered
        assert took_s < 2
        assert (await there.post(stop)).status_code == 202
        assert (await there.get("/billing/balance")).json() == {
            "balance": 100 - 1 - delivered,
            "held": 0,
            "available": 100 - 1 - delivered,
        }
    assert writing.verify()["charges"] == 1


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server that the test may kill."""
    started = start_server()
    yield started
    stop_server(started)


async def test_a_lost_database_is_answered_with_503_until_it_is_back(
    service_on: Callable[..., Service], server: Server
) -> None:
    service = service_on(server.url())
    async with service.client(await service.person()) as client:
        server.kill()
        for answer in (await send(client, "hello"), await client.get("/billing/balance")):
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
        server.restart()
        assert (await send(client, "hello")).json()["balance"] == 99
        assert (await client.get("/health/ready")).status_code == 200
    assert service.verify()["charges"] == 1


def test_a_missing_database_is_explained_without_its_password(tmp_path: Path) -> None:
    service = Service(tmp_path, {"CHATBILL_DATABASE_URL": "postgresql://alice:s3cret@127.0.0.1:1/chatbill"})
    for command in (("serve", "--port", "0", "--mode", "api"), ("ledger", "verify"), ("db", "current")):
        done = service.run(*command)
        assert done.returncode == (2 if command[0] == "ledger" else 1)
        assert "The database server cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr
        assert "s3cret" not in done.stdout + done.stderr
