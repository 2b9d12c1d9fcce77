"""Clients that send incomplete requests or open too many connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.service.process import Service

pytestmark = pytest.mark.slow

HEAD = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


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
    [(), (b"GET /health HT",), (HEAD,), (HEAD, b'{"username": "a'), (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", HEAD)],
    ids=["nothing", "half-a-head", "no-body", "half-a-body", "half-a-second-request"],
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


async def test_connections_over_the_limit_are_rejected_until_others_close(start: Callable[..., Service]) -> None:
    service = start(max_connections=10, receive_timeout_s=2)
    host, port = service.url.removeprefix("http://").split(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
    async with service.client() as client:
        assert (await client.get("/health")).status_code == 503
        deadline = time.monotonic() + 10
        while (await client.get("/health")).status_code != 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
    for _, writer in idle:
        writer.close()
