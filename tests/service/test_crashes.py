"""Services that are stopped or killed, and the next service on their data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from tests.service.process import Service


async def begin(client: httpx.AsyncClient, message: str) -> asyncio.Task[httpx.Response]:
    """Send a message, and return while its reply is being written."""
    sending = asyncio.create_task(client.post("/chat/message", json={"model": "demo-mini", "message": message}))
    for _ in range(200):
        if (await client.get("/billing/balance")).json()["held"]:
            return sending
        await asyncio.sleep(0.02)
    raise AssertionError("the message was never accepted")


async def test_a_killed_service_charges_nothing_and_its_hold_is_released(
    start: Callable[..., Service],
) -> None:
    timing = {"generation_timeout_s": 2, "hold_grace_s": 1, "sweep_interval_s": 0.5}
    service = start(**timing)
    token = await service.person()
    async with service.client(token) as client:
        sending = await begin(client, "never [[pause:0.2]] [[tokens:200]]")
        service.kill()
        await asyncio.wait({sending})
        assert sending.exception()
    service.start()
    restarted = time.monotonic()
    async with service.client(token) as client:
        while (balance := (await client.get("/billing/balance")).json())["held"]:
            assert time.monotonic() - restarted < 6
            await asyncio.sleep(0.1)
        assert balance == {"balance": 100, "held": 0, "available": 100}
        [item] = (await client.get("/chat/history")).json()["items"]
        assert (item["outcome"], item["credits_charged"]) == ("interrupted", 0)
        again = await client.post("/chat/message", json={"model": "demo-mini", "message": "hello"})
        assert again.json()["balance"] == 99
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (1, 0)


async def test_unfinished_replies_of_a_killed_service_can_be_ended_by_a_command(
    start: Callable[..., Service],
) -> None:
    service = start(generation_timeout_s=1, hold_grace_s=0.5, sweep_interval_s=0.5)
    async with service.client(await service.person()) as client:
        sending = await begin(client, "never [[pause:0.2]] [[tokens:200]]")
        service.kill()
        await asyncio.wait({sending})
        assert sending.exception()
    await asyncio.sleep(4)
    overdue = service.run("ledger", "verify")
    assert overdue.returncode == 1
    assert "chatbill ledger sweep" in overdue.stdout
    assert service.run("ledger", "sweep").stdout.endswith(": 1.\n")
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (0, 0)


async def test_a_stopping_service_lets_a_reply_finish_within_the_grace(start: Callable[..., Service]) -> None:
    service = start(shutdown_grace_s=10)
    async with service.client(await service.person()) as client:
        sending = await begin(client, "one two three [[sleep:1]]")
        assert await asyncio.to_thread(service.stop) == 0
        assert (await sending).json()["reply"] == "one two three"
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (1, 0)


async def test_a_stopping_service_settles_every_hold_after_the_grace(start: Callable[..., Service]) -> None:
    service = start(shutdown_grace_s=0.5)
    async with service.client(await service.person()) as client:
        sending = await begin(client, "slow [[pause:0.2]] [[tokens:500]]")
        before = time.monotonic()
        assert await asyncio.to_thread(service.stop) == 0
        assert time.monotonic() - before < 8
        answer = await sending
        assert (answer.status_code, answer.json()["code"]) == (503, "interrupted")
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (0, 0)


async def test_a_port_in_use_is_explained(service: Service) -> None:
    port = service.url.rpartition(":")[2]
    done = await asyncio.to_thread(service.run, "serve", "--port", port)
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
