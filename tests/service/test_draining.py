"""A service that is told to stop says so before it closes its socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from tests.kit.waiting import eventually
from tests.service.process import STOPPED_WITHIN_S, Service
from tests.service.test_crashes import begin

HELLO = {"model": "demo-mini", "message": "hello"}


async def test_a_service_that_is_told_to_stop_is_not_ready_and_still_accepts(start: Callable[..., Service]) -> None:
    service = start(drain_s=600, shutdown_grace_s=60)
    assert service.process
    async with service.client(await service.person()) as client:
        assert (await client.get("/health/ready")).json()["status"] == "ready"
        service.process.terminate()

        async def is_stopping() -> bool:
            answer = await client.get("/health/ready")
            return answer.status_code == 503 and bool(answer.json()["status"] == "stopping")

        await eventually(is_stopping)
        told = (await client.get("/health/ready")).json()
        assert (told["database"], told["missing"]) == (True, ["service"])

        async def connections_are_closed() -> bool:
            answer = await client.post("/chat/message", json=HELLO)
            assert answer.status_code == 200, answer.text
            return bool(answer.headers.get("Connection") == "close")

        await eventually(connections_are_closed)
        service.process.terminate()
        assert await asyncio.to_thread(service.process.wait, STOPPED_WITHIN_S) == 0
    verdict = service.verify()
    assert (verdict["charges"] > 0, verdict["pending_holds"]) == (True, 0)


async def test_a_reply_that_began_in_the_drain_is_finished_after_it(start: Callable[..., Service]) -> None:
    service = start(drain_s=1, shutdown_grace_s=60)
    assert service.process
    async with service.client(await service.person()) as client:
        service.process.terminate()
        sending = await begin(client, "one two three [[sleep:3]]")
        assert await asyncio.to_thread(service.process.wait, STOPPED_WITHIN_S) == 0
        assert (await sending).json()["reply"] == "one two three"


async def test_a_service_in_a_terminal_stops_at_once(start: Callable[..., Service]) -> None:
    service = start(drain_s=600)
    assert service.process
    service.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(service.process.wait, STOPPED_WITHIN_S) == 0
