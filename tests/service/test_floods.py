"""Floods of sign-ins, against a real service with a small bound on connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import pytest

from tests.service.process import Service

pytestmark = pytest.mark.slow


async def sign_in_until(client: httpx.AsyncClient, done: asyncio.Event, name: str) -> set[int]:
    """Guess the password of a name again and again, and return the statuses of the answers."""
    statuses = set()
    while not done.is_set():
        answer = await client.post("/auth/login", json={"username": name, "password": "guess 1 guess"})
        statuses.add(answer.status_code)
    return statuses


async def test_a_flood_of_sign_ins_stops_nobody_who_is_signed_in(start: Callable[..., Service]) -> None:
    service = start(max_connections=40, sign_in_failures_per_address=0)
    done = asyncio.Event()
    async with service.client(await service.person()) as alice, service.client() as attacker:
        flood = [asyncio.create_task(sign_in_until(attacker, done, f"name{number}")) for number in range(60)]
        await asyncio.sleep(1)
        message = {"model": "demo-mini", "message": "hello there"}
        asked = [alice.post("/chat/message", json=message) for _ in range(9)]
        asked += [alice.get("/billing/balance") for _ in range(9)]
        answers = await asyncio.gather(*asked)
        done.set()
        statuses = set().union(*await asyncio.gather(*flood))
    assert [answer.status_code for answer in answers] == [200] * 18
    assert statuses <= {401, 429, 503}


async def test_sign_ins_whose_clients_left_delay_no_other(start: Callable[..., Service]) -> None:
    service = start(sign_in_failures_per_address=0)
    await service.person()
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps({"username": "nobody", "password": "guess 1 guess"}).encode()
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    for _ in range(150):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()
    async with service.client() as client:
        began = time.monotonic()
        good = await client.post("/auth/login", json={"username": "alice", "password": "correct horse battery"})
    assert good.status_code == 200
    assert time.monotonic() - began < 3


async def test_one_password_for_many_names_is_limited(start: Callable[..., Service]) -> None:
    service = start()
    await service.person()
    async with service.client() as client:
        answers = [
            await client.post("/auth/login", json={"username": f"name{number}", "password": "guess 1 guess"})
            for number in range(60)
        ]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429] * 30
    assert int(answers[-1].headers["Retry-After"]) > 0
