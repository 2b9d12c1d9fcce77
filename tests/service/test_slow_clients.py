"""Clients that send incomplete requests or open too many connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.service.process import Service

pytestmark = pytest.mark.slow

HEAD = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"

WHOLE = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer_to(service: Service, *parts: bytes) -> tuple[bytes, float]:
    """Send parts with pauses, and return the answer and the seconds until the connection closes."""
    host, port = service.url.removeprefix("http://").split(":")
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.2)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    "parts",
    [
        *((), (b"GET /health HT",), (HEAD,), (HEAD, b'{"username": "a')),
        *((WHOLE, HEAD), (WHOLE + HEAD,), (WHOLE + HEAD[:9],)),
    ],
    ids=[
        *("nothing", "half-a-head", "no-body", "half-a-body", "half-a-second-request"),
        *("half-a-request-behind-another", "half-a-head-behind-a-request"),
    ],
)
async def test_a_client_that_does_not_finish_a_request_is_disconnected(
    start: Callable[..., Service], parts: tuple[bytes, ...]
) -> None:
    service = start(receive_timeout_s=1)
    answer, seconds = await answer_to(service, *parts)
    assert answer.count(b"HTTP/1.1 408 Request Timeout") == 1
    assert 0.9 < seconds < 10


async def test_the_time_of_an_answer_does_not_count(start: Callable[..., Service]) -> None:
    service = start(receive_timeout_s=1)
    async with service.client(await service.person()) as client:
        body = {"model": "demo-mini", "message": "hello [[sleep:2]] there"}
        for _ in range(2):
            assert (await client.post("/chat/message", json=body)).status_code == 200


async def test_a_connection_is_kept_for_longer_than_proxies_keep_theirs(start: Callable[..., Service]) -> None:
    """A proxy that sends a message on a connection which is just closed cannot send it a second time."""
    service = start()
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for pause in (0, 6):
        await asyncio.sleep(pause)
        writer.write(WHOLE)
        assert (await asyncio.wait_for(reader.read(65_536), 10)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_silent_connections_over_the_limit_keep_nobody_out(start: Callable[..., Service]) -> None:
    service = start(max_connections=40)
    host, port = service.url.removeprefix("http://").split(":")
    silent = [await asyncio.open_connection(host, int(port)) for _ in range(45)]
    async with service.client() as client:
        answers = await asyncio.gather(*(client.get("/health") for _ in range(18)))
    assert [answer.status_code for answer in answers] == [200] * 18
    for _, writer in silent:
        writer.close()


async def test_requests_over_the_limit_are_refused(start: Callable[..., Service]) -> None:
    service = start(max_connections=20, connections_per_address=12)
    async with service.client(await service.person()) as client:
        body = {"model": "demo-mini", "message": "hello [[sleep:2]] there"}
        asking = [asyncio.create_task(client.post("/chat/message", json=body)) for _ in range(20)]
        answers = await asyncio.gather(*asking)
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert [answer for answer in answers if answer.status_code == 200]
    assert {(answer.json()["code"], answer.headers["Retry-After"]) for answer in refused} == {("overloaded", "1")}
