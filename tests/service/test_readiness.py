"""`/health/ready` of a service whose database cannot be written."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.process import Service

pytestmark = pytest.mark.slow
WITHIN_S = 15
"""The service checks at most every five seconds."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    mounted = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False, capture_output=True
    )
    if not mounted or mounted.returncode or not unmount:
        pytest.skip("a disk can only be mounted by root, on Linux")
    yield folder
    subprocess.run([unmount, "--lazy", folder], check=True)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Return a service that is not started yet, and is killed at the end."""
    made = Service(Path())
    yield made
    if made.url:
        made.kill()


async def ready_is(client: httpx.AsyncClient, status: int) -> httpx.Response:
    """Wait for this status, and return the answer."""
    deadline = time.monotonic() + WITHIN_S
    while (answer := await client.get("/health/ready")).status_code != status:
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.2)
    return answer


def fill(disk: Path) -> Path:
    """Write a file that fills the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError:
            return filler


async def test_a_full_disk_makes_the_service_unready_until_there_is_space(small_disk: Path, service: Service) -> None:
    service.data_dir = small_disk
    await asyncio.to_thread(service.start)
    message = {"model": "demo-mini", "message": "hello"}
    async with service.client(await service.person()) as client:
        assert (await client.get("/health/ready")).json()["database"] is True
        filler = fill(small_disk)
        unready = (await ready_is(client, 503)).json()
        assert (unready["database"], unready["missing"]) == (False, ["database"])
        assert unready["why"]["database"].startswith("The disk is full. Free some space")
        assert str(small_disk) not in str(unready)
        assert (await client.post("/chat/message", json=message)).json()["code"] == "store_unavailable"
        assert (await client.get("/billing/balance")).json()["available"] == 100
        for _ in range(12):
            assert (await client.post("/chat/message", json=message)).status_code == 503
        filler.unlink()
        assert (await ready_is(client, 200)).json()["why"] == {}
        assert (await client.post("/chat/message", json=message)).json()["balance"] == 99
    log = "".join(service.output)
    assert log.count("database_unusable") == 1
    assert "disk_full" in log
    assert "Traceback" not in log
    assert log.count("failed: store_unavailable") <= 1
    assert log.count("database_usable_again") == 1
    assert await asyncio.to_thread(service.stop) == 0
    assert service.verify()["charges"] == 1


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="processes have no such limit here")
async def test_a_disk_that_rejects_writes_makes_the_service_unready(tmp_path: Path, service: Service) -> None:
    service.data_dir = tmp_path
    await asyncio.to_thread(service.start)
    assert service.process
    process = psutil.Process(service.process.pid)
    async with service.client(await service.person()) as client:
        assert (await client.get("/health/ready")).status_code == 200
        process.rlimit(psutil.RLIMIT_FSIZE, (0, -1))
        unready = (await ready_is(client, 503)).json()
        assert unready["missing"] == ["database"]
        assert unready["why"]["database"].startswith("The disk does not take or give what it should.")
        process.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        await ready_is(client, 200)


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_deleted_database_file_makes_the_service_unready(tmp_path: Path, service: Service, how: str) -> None:
    service.data_dir = tmp_path
    await asyncio.to_thread(service.start)
    file = tmp_path / "chatbill.sqlite3"
    async with service.client(await service.person()) as client:
        assert (await client.get("/health/ready")).status_code == 200
        if how == "removed":
            file.unlink()
        else:
            shutil.copy(file, tmp_path / "copy")
            (tmp_path / "copy").replace(file)
        unready = (await ready_is(client, 503)).json()
    assert unready["missing"] == ["database"]
    assert "was removed or replaced" in unready["why"]["database"]
    assert "Stop the service" in unready["why"]["database"]
