"""More requests at once than fit into the queue: the others are rejected, and no hold remains."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.kit.models import demo_model_folder, fetch_demo, models_folder
from tests.service.process import Service

BURST = 200
QUEUE = 8
SLOTS = 2


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_burst_on_two_slots_is_answered_or_rejected_and_leaves_no_hold(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    demo_model_folder()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder())
    service = await asyncio.to_thread(
        start,
        engine="transformers",
        batch_size=SLOTS,
        queue_size=QUEUE,
        queue_share_percent=100,
        first_token_timeout_s=120,
        welcome_credits=10_000,
    )
    assert service.process
    token = await service.person()
    await burst(service, token)  # warm up the one-time allocations
    before = psutil.Process(service.process.pid).memory_info().rss
    answers = [answer for _ in range(2) for answer in await burst(service, token)]
    after = psutil.Process(service.process.pid).memory_info().rss
    async with service.client(token) as client:
        balance = (await client.get("/billing/balance")).json()
        ready = await client.get("/health/ready")
        status = (await client.get("/chat/status")).json()
    exit_code = await asyncio.to_thread(service.stop)

    counts = Counter((answer.status_code, answer.json().get("code")) for answer in answers)
    assert set(counts) == {(200, None), (503, "overloaded")}
    # A place that becomes free during the burst is used again.
    assert counts[200, None] >= 2 * (SLOTS + QUEUE)
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 503)
    assert balance["held"] == 0
    assert after - before < 100_000_000
    assert ready.status_code == 200
    assert status["queue"] == {"running": 0, "queued": 0}
    assert exit_code == 0
    assert await asyncio.to_thread(service.verify)


async def burst(service: Service, token: str) -> list[httpx.Response]:
    """Send all requests at once on separate connections. The replies differ, so that none is cached."""
    async with service.client(token) as client:
        client.timeout = httpx.Timeout(200)
        message = {"model": "demo-mini", "message": "Say hello.", "max_tokens": 4, "temperature": 1}
        return await asyncio.gather(*(client.post("/chat/message", json=message) for _ in range(BURST)))


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("engine", "megabytes"), [("transformers", 269), ("llama_cpp", 96)])
async def test_models_check_runs_the_local_models_and_prints_their_speed(
    tmp_path: Path, engine: str, megabytes: int
) -> None:
    fetch_demo(engine)
    (tmp_path / "models").symlink_to(models_folder())
    service = Service(tmp_path, {"CHATBILL_LOG_LEVEL": "ERROR", "CHATBILL_LOCAL_ENGINE": engine})
    done = await asyncio.to_thread(service.run, "models", "check", "--json")
    reports = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert [found["id"] for found in reports] == ["demo-mini", "demo-pro"]
    assert all(found["fits"] and found["speed"]["how"] == "measured" for found in reports)
    assert all(found["speed"]["tokens_per_s"] > 0 for found in reports)
    assert {found["engine"] for found in reports} == {engine}
    assert reports[0]["weights_bytes"] // 1_000_000 == megabytes
    assert "fits" in (await asyncio.to_thread(service.run, "models", "check", "--no-run")).stdout
