"""Processes of llama.cpp that crash, hang, cannot be started, or lose their service."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable
from tests.adapters.inference.llama_cpp.scene import ALICE, BOB, MINI, QUICK, scene
from tests.kit.models import demo_gguf
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.model, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[4]
STORY = "Tell me a long story of a fox."

SERVICE = """
import asyncio, sys
from pathlib import Path
from tests.adapters.inference.llama_cpp.scene import scene

async def main():
    async with scene(gguf=lambda: Path(sys.argv[1])) as here:
        print("child", here.processes[0].pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_crash_fails_the_replies_that_are_written_and_the_next_message_works() -> None:
    async with scene() as here:
        generation = await here.prepare(STORY, max_tokens=400)
        chunks = generation.stream()
        await anext(chunks)
        here.processes[0].kill()
        with pytest.raises(GenerationFailed):
            async for _chunk in chunks:
                pass

        assert (await here.write(STORY)).tokens == 8
        assert here.status.state is ModelState.READY


async def test_a_message_that_waits_for_its_turn_survives_the_crash_of_another_ones_reply() -> None:
    async with scene(slots=1) as here:
        first = await here.prepare(STORY, max_tokens=400)
        chunks = first.stream()
        await anext(chunks)
        waiting = asyncio.create_task(here.write(STORY, owner=BOB))
        await eventually(lambda: here.status.queued == 1)
        here.processes[0].kill()
        with pytest.raises(GenerationFailed):
            async for _chunk in chunks:
                pass

        assert (await waiting).tokens == 8


async def test_a_message_whose_tokens_are_being_counted_survives_the_end_of_the_process() -> None:
    async with scene() as here:
        server = here.engine._models[MINI]._server
        post = server._post

        async def crash_then_post(path: str, body: Mapping[str, Any]) -> Any:
            server._post = post  # type: ignore[method-assign]
            here.processes[0].kill()
            return await post(path, body)

        server._post = crash_then_post  # type: ignore[method-assign]

        assert (await here.write(STORY)).tokens == 8


async def test_a_process_that_crashes_again_and_again_is_started_with_pauses() -> None:
    async with scene() as here:
        killed = set()
        for _ in range(2):
            await eventually(lambda: any(process.pid not in killed for process in here.processes), within_s=30)
            await eventually(lambda: here.status.state is ModelState.READY, within_s=30)
            for process in here.processes:
                killed.add(process.pid)
                process.kill()
            await eventually(lambda: here.status.state is not ModelState.READY)
        await eventually(lambda: here.status.state is ModelState.UNAVAILABLE, within_s=30)

        assert here.status.reason
        assert here.status.reason.code == "model_failed_repeatedly"
        assert not here.status.healthy
        with pytest.raises(ModelUnavailable) as refused:
            await here.prepare(STORY)
        assert refused.value.retry_after_s
        await eventually(lambda: here.status.state is ModelState.READY, within_s=30)


async def test_a_process_that_hangs_in_a_reply_is_replaced() -> None:
    async with scene(limits=replace(QUICK, stuck_after_s=1.0)) as here:
        generation = await here.prepare(STORY, max_tokens=400)
        chunks = generation.stream()
        await anext(chunks)
        [stuck] = here.processes
        stuck.send_signal(signal.SIGSTOP)
        with pytest.raises(GenerationFailed):
            async for _chunk in chunks:
                pass
        await eventually(lambda: stuck.pid not in {process.pid for process in here.processes}, within_s=20)

        assert (await here.write(STORY)).tokens == 8


async def test_a_process_that_hangs_while_it_loads_is_given_up() -> None:
    async with scene(limits=replace(QUICK, load_timeout_s=0.01, retry_s=60)) as here:
        assert here.status.reason
        assert here.status.reason.code == "model_load_stalled"
        assert not here.processes


async def test_a_file_that_is_no_model_or_is_cut_off_says_so(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    for content in (b"", b"<html>not found</html>", demo_gguf().read_bytes()[:50_000_000]):
        file.write_bytes(content)
        async with scene(gguf=lambda: file) as here:
            assert here.status.state is ModelState.UNAVAILABLE
            assert here.status.reason
            assert here.status.reason.code == "model_file_broken"


async def test_a_file_that_llama_cpp_cannot_load_says_so(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    name = b"llama.block_count\x04\0\0\0"
    file.write_bytes(demo_gguf().read_bytes().replace(name + b"\x1e", name + b"\x1f"))  # a layer that is not there
    async with scene(gguf=lambda: file, limits=replace(QUICK, retry_s=60)) as here:
        assert here.status.state is ModelState.UNAVAILABLE
        assert here.status.reason
        assert here.status.reason.code == "model_process_failed"
        assert not here.processes


async def test_a_model_that_does_not_fit_says_what_it_needs() -> None:
    async with scene(context_tokens=1_000_000_000) as here:
        assert here.status.state is ModelState.UNAVAILABLE
        assert here.status.reason
        assert here.status.reason.code == "model_memory"
        assert not here.processes


async def test_a_lazy_model_is_loaded_by_its_first_message() -> None:
    async with scene(lazy=True) as here:
        assert here.status.state is ModelState.RESTING
        assert not here.processes

        assert (await here.write(STORY)).tokens == 8


async def test_no_process_is_left_when_the_service_is_closed() -> None:
    async with scene() as here:
        processes = here.processes
        assert len(processes) == 1
    assert not processes[0].is_running()


def has_ended(process: psutil.Process) -> bool:
    """Return True also before the system has removed the process from its list."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_no_process_is_left_when_the_service_is_killed() -> None:
    service = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVICE, str(demo_gguf())],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert service.stdout
    try:
        line = next(line for line in service.stdout if line.startswith("child"))  # the log comes before
        child = psutil.Process(int(line.split()[1]))
        assert child.is_running()
        service.kill()
        asyncio.run(eventually(lambda: has_ended(child), within_s=30))
    finally:
        service.kill()
        service.wait()
        service.stdout.close()


async def test_the_process_answers_only_to_its_secret_which_no_list_of_processes_shows() -> None:
    async with scene() as here:
        [process] = here.processes
        server = here.engine._models[MINI]._server
        assert server._socket
        assert server._key
        assert server._key not in " ".join([*process.cmdline(), *process.environ().values()])
        assert server._socket.parent.stat().st_mode & 0o077 == 0
        connector = aiohttp.UnixConnector(str(server._socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                for path in ("/v1/chat/completions", "/completion", "/tokenize", "/apply-template"):
                    async with session.post(f"http://x{path}", json={}, headers=headers) as response:
                        assert response.status == 401


async def test_the_process_gets_no_secret_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATBILL_SECRET_KEY", "very secret")
    monkeypatch.setenv("OPENAI_API_KEY", "very secret")
    async with scene() as here:
        [process] = here.processes
        assert "very secret" not in process.environ().values()


async def test_an_owner_of_the_place_is_free_again_after_a_crash() -> None:
    async with scene(slots=1) as here:
        await here.write(STORY, owner=ALICE)
        here.processes[0].kill()
        await eventually(lambda: here.status.state is not ModelState.READY)
        assert (await here.write(STORY, owner=ALICE)).tokens == 8
