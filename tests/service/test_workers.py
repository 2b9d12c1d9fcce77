"""`chatbill serve --workers`: several processes on one port and one PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.kit.postgres import shared
from tests.kit.waiting import eventually
from tests.service.process import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    variables = {"CHATBILL_DATABASE_URL": shared().empty()}
    service = Service(tmp_path / "data", variables, options=("--workers", "2")).start()
    yield service
    if service.url:
        service.stop()


def workers_of(service: Service) -> list[psutil.Process]:
    assert service.process
    return psutil.Process(service.process.pid).children()


async def says(client: httpx.AsyncClient, text: str) -> int:
    answer = await client.post("/chat/message", json={"model": "demo-mini", "message": text})
    return answer.status_code


@pytest.mark.postgres
@pytest.mark.slow
async def test_a_worker_that_was_killed_is_started_again_and_sigterm_ends_all(service: Service) -> None:
    token = await service.person()
    assert len(workers_of(service)) == 2
    async with service.client(token) as client:
        assert {await says(client, "Hello") for _ in range(4)} == {200}
        killed = workers_of(service)[0]
        killed.kill()
        await eventually(lambda: len(workers_of(service)) == 2 and killed not in workers_of(service), within_s=60)

        async def answers() -> bool:
            try:
                return await says(client, "Hello again") == 200
            except httpx.TransportError:
                return False

        await eventually(answers, within_s=60)
    workers = workers_of(service)
    assert await asyncio.to_thread(service.stop) == 0
    assert not any(worker.is_running() for worker in workers)
    assert any("worker_ended" in line for line in service.output)
    assert sum("chatbill is ready" in line for line in service.output) == 1
    assert await asyncio.to_thread(service.verify)


@pytest.mark.postgres
@pytest.mark.slow
async def test_a_running_reply_ends_before_its_worker_does(service: Service) -> None:
    token = await service.person()
    async with service.client(token) as client:
        sent = asyncio.create_task(
            client.post("/chat/message", json={"model": "demo-mini", "message": "[[pause:0.1]] [[tokens:20]] go on"})
        )

        async def is_running() -> bool:
            return bool((await client.get("/billing/balance")).json()["held"])

        await eventually(is_running)
        assert service.process
        service.process.send_signal(signal.SIGTERM)
        answer = await sent
    assert (answer.status_code, answer.json()["outcome"]) == (200, "completed")
    assert await asyncio.to_thread(service.process.wait, 30) == 0
    service.url = ""


@pytest.mark.postgres
@pytest.mark.slow
async def test_workers_end_when_their_supervisor_is_killed(service: Service) -> None:
    workers = workers_of(service)
    service.kill()
    await eventually(lambda: not any(map(psutil.Process.is_running, workers)), within_s=30)


@pytest.mark.slow
def test_workers_on_sqlite_are_refused(tmp_path: Path) -> None:
    done = Service(tmp_path / "data").run("serve", "--workers", "2", "--port", "0")
    assert done.returncode == 1
    assert "--workers needs PostgreSQL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.postgres
@pytest.mark.slow
def test_workers_that_cannot_start_end_the_command(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        variables = {
            "CHATBILL_DATABASE_URL": shared().empty(),
            "CHATBILL_METRICS_PORT": str(taken.getsockname()[1]),
        }
        done = Service(tmp_path / "data", variables).run("serve", "--workers", "2", "--port", "0", "--mode", "api")
    assert done.returncode == 1
    assert "CHATBILL_METRICS_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_option_of_a_worker_is_for_the_supervisor_alone(tmp_path: Path) -> None:
    done = Service(tmp_path / "data").run("serve", "--worker", "x")
    assert done.returncode == 2
    assert "`serve --workers` starts" in done.stderr


@pytest.mark.postgres
@pytest.mark.slow
def test_workers_leave_the_schema_alone_where_it_is_set_so(tmp_path: Path) -> None:
    variables = {"CHATBILL_DATABASE_URL": shared().empty(), "CHATBILL_MIGRATE_AT_START": "false"}
    service = Service(tmp_path / "data", variables)
    done = service.run("serve", "--workers", "2", "--port", "0")
    assert done.returncode == 1
    assert "chatbill db upgrade" in done.stderr
    assert service.run("db", "current").stdout.startswith("no schema yet")
