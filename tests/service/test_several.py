"""Several services on one PostgreSQL, of which one is killed, and a database that is frozen."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.kit.postgres import Server, shared
from tests.kit.postgres import start as start_server
from tests.kit.postgres import stop as stop_server
from tests.kit.waiting import eventually
from tests.service.process import Service
from tests.service.test_postgres import send

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
ANSWERED_WITHIN_S = 1.0


async def test_the_replies_of_a_killed_service_end_long_before_their_time_and_its_keys_have_a_final_answer(
    service_on: Callable[..., Service],
) -> None:
    url = shared().empty()
    timing = {"generation_timeout_s": 600, "hold_grace_s": 600, "sweep_interval_s": 1}
    doomed, other = service_on(url, **timing), service_on(url, **timing)
    token = await doomed.person()
    long, key = "never [[pause:0.2]] [[tokens:2000]]", {"Idempotency-Key": "k-1"}
    async with doomed.client(token) as client, other.client(token) as elsewhere:

        async def held() -> int:
            return int((await elsewhere.get("/billing/balance")).json()["held"])

        async def is_held() -> bool:
            return await held() > 0

        async def is_free() -> bool:
            return await held() == 0

        sending = asyncio.create_task(send(client, long, **key))
        await eventually(is_held)
        assert (await send(elsewhere, long, **key)).json()["code"] == "request_in_progress"
        doomed.kill()
        await asyncio.wait({sending})
        await eventually(is_free, within_s=60, every_s=0.2)
        for _ in range(2):
            again = await send(elsewhere, long, **key)
            assert (again.status_code, again.json()["code"]) == (410, "request_interrupted")
        new = await send(elsewhere, "hello", **{"Idempotency-Key": "k-2"})
        assert (new.status_code, new.json()["balance"]) == (200, 99)
    verdict = other.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (1, 0)


async def test_a_running_reply_outlives_many_leases(service_on: Callable[..., Service]) -> None:
    url = shared().empty()
    writer, _ = service_on(url, sweep_interval_s=0.5), service_on(url, sweep_interval_s=0.5)
    async with writer.client(await writer.person()) as client:
        reply = await send(client, "slow [[sleep:25]]")
        assert (reply.status_code, reply.json()["credits_charged"]) == (200, 1)


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server that the test may freeze."""
    started = start_server()
    yield started
    stop_server(started)


def signal_all(server: Server, name: signal.Signals) -> None:
    """Send a signal to every process of the server."""
    postmaster = psutil.Process(server.handle.get_pid())
    for each in (postmaster, *postmaster.children(recursive=True)):
        each.send_signal(name)


async def test_probes_are_answered_within_a_second_while_the_database_is_frozen(
    service_on: Callable[..., Service], server: Server
) -> None:
    service = service_on(server.url())
    async with service.client(await service.person()) as client:
        assert (await client.get("/health/ready")).status_code == 200
        signal_all(server, signal.SIGSTOP)
        try:
            # All other connections are taken by work that waits.
            waiting = [asyncio.create_task(client.get("/billing/balance")) for _ in range(20)]
            took_s = []
            for _ in range(5):
                began = time.monotonic()
                answer = await client.get("/health/ready")
                took_s.append(time.monotonic() - began)
                assert (answer.status_code, answer.json()["missing"]) == (503, ["database"])
                assert (await client.get("/health")).status_code == 200
            # The quickest, because the machine may be busy.
            assert min(took_s) <= ANSWERED_WITHIN_S
        finally:
            signal_all(server, signal.SIGCONT)
        await asyncio.gather(*waiting)

        async def is_ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await eventually(is_ready, within_s=60, every_s=0.2)
        assert (await send(client, "hello")).status_code == 200
    assert service.verify()["pending_holds"] == 0
