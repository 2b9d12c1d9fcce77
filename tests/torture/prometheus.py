"""A real Prometheus reads two processes: the dashboard has data, and an alert fires and clears with its model.

Needs Debian's package prometheus, and is no part of the default suite: `python -m tests.torture.prometheus`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import uvicorn

from tests.adapters.inference.openai.fake_servers import WorkingServer
from tests.deploy.test_watching import ALERTS, panels
from tests.kit import valkey
from tests.kit.postgres import shared
from tests.kit.support import PASSWORD
from tests.kit.waiting import eventually
from tests.service.process import Service

WITHIN_S = 90
EMPTY = re.compile(r"gpu_memory|reply_errors|5xx|store_errors|cached")
"""Queries without data while all goes well and there is no GPU."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for it, and say that it came."""
    await eventually(holds, within_s=WITHIN_S, every_s=0.5)
    sys.stdout.write(f"{what}\n")


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def model_server(port: int) -> AsyncIterator[None]:
    """Run a server of models while entered."""
    server = _Uvicorn(uvicorn.Config(WorkingServer(), port=port, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def prometheus(folder: Path, targets: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """Run Prometheus with the rules of `deploy/`, whose waits are shortened."""
    rules = re.sub(r"for: \w+", "for: 2s", ALERTS.read_text(encoding="utf-8"))
    (folder / "alerts.yml").write_text(rules, encoding="utf-8")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "chatbill", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    options = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
    process = await asyncio.create_subprocess_exec(
        "prometheus", *options, f"--web.listen-address=127.0.0.1:{port}", stderr=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def result(client: httpx.AsyncClient, query: str) -> list[Any]:
    try:
        answer = await client.get("/query", params={"query": query.replace("$__rate_interval", "1m")})
    except httpx.TransportError:
        return []
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []  # it is starting
    assert answer.json()["status"] == "success", answer.text
    found: list[Any] = answer.json()["data"]["result"]
    return found


async def firing(client: httpx.AsyncClient) -> set[str]:
    alerts = (await client.get("/alerts")).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


async def talk(service: Service, name: str) -> None:
    """Let a new person send a few messages."""
    async with httpx.AsyncClient(base_url=service.url, timeout=20) as client:
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        await client.post("/auth/register", json=account)
        signed_in = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        for number in range(5):
            body = {"model": "demo-mini", "message": f"Message {number}"}
            assert (await client.post("/chat/message", json=body)).status_code == 200
            await asyncio.sleep(1)


async def main() -> None:
    """Run everything, and say what was seen."""
    if shutil.which("prometheus") is None:
        sys.exit("This needs Prometheus: apt install prometheus")
    models, database = free_port(), shared().fresh()
    ports = [free_port(), free_port()]
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            "CHATBILL_ENGINE": "openai",
            "CHATBILL_ENGINE_URL": f"http://127.0.0.1:{models}/v1",
            "CHATBILL_DATABASE_URL": database,
            "CHATBILL_PROBE_INTERVAL_S": "1",
            "CHATBILL_SECRET_KEY": "one key of both processes, 32 characters",
            "CHATBILL_SHARED_URL": valkey.shared().url,
            "CHATBILL_BACKUP_TO": str(folder / "backups"),
            # pg_dump of the server's version.
            "PATH": f"{shared().handle.bin_path}{os.pathsep}{os.environ['PATH']}",
        }
        services = [Service(folder / str(port), environment | {"CHATBILL_METRICS_PORT": str(port)}) for port in ports]
        try:
            async with contextlib.AsyncExitStack() as opened:
                server = await opened.enter_async_context(contextlib.AsyncExitStack())
                await server.enter_async_context(model_server(models))
                # Before the services look for it.
                made = await asyncio.to_thread(services[0].run, "backup", "make")
                assert made.returncode == 0, made.stderr
                for service in services:
                    await asyncio.to_thread(service.start)
                client = await opened.enter_async_context(prometheus(folder, [f"127.0.0.1:{port}" for port in ports]))
                await check(client, services, server, models)
        finally:
            for service in services:
                await asyncio.to_thread(service.stop)


async def check(
    client: httpx.AsyncClient, services: list[Service], server: contextlib.AsyncExitStack, models: int
) -> None:
    async def both_up() -> bool:
        return len(await result(client, 'up{job="chatbill"} == 1')) == len(services)

    await until(both_up, "Both processes are read.")
    await asyncio.gather(*(talk(service, f"person{number}") for number, service in enumerate(services)))
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]

    missing = list[str]()

    async def all_have_data() -> bool:
        missing[:] = [query for query in queries if not await result(client, query) and not EMPTY.search(query)]
        return not missing

    # A job is due at the next whole minute.
    try:
        await until(all_have_data, f"{len(queries)} queries of the dashboard have data.")
    except TimeoutError:
        sys.exit(f"No data for: {missing}")
    assert await firing(client) == set(), await firing(client)

    await server.aclose()

    async def fires() -> bool:
        return "ChatbillModelGone" in await firing(client)

    await until(fires, "The alert fires after the model broke.")
    async with model_server(models):

        async def is_clear() -> bool:
            return not await fires()

        await until(is_clear, "The alert is clear after the model works again.")


if __name__ == "__main__":
    asyncio.run(main())
