"""Models that fail or are stuck: they are probed, taken out, and replaced."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, OutOfMemory
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime
from tests.adapters.inference.transformers.scene import (
    GB,
    MINI,
    PRO,
    QUICK,
    model_scene,
    text,
)
from tests.kit.waiting import eventually


async def test_a_model_that_keeps_failing_is_taken_out_until_a_probe_works(tmp_path: Path) -> None:
    async with model_scene(tmp_path) as here:
        here.fake().broken = MemoryError()
        for _ in range(3):
            with pytest.raises(OutOfMemory):
                await here.ask()
        out = here.status()
        with pytest.raises(ModelUnavailable, match="model_failed_repeatedly\\(failures=3"):
            await here.ask()
        await eventually(lambda: "4 times" in here.reason())  # a probe failed
        here.fake().broken = None
        await eventually(lambda: here.status().state is ModelState.READY)

        assert (out.state, out.available) == (ModelState.UNAVAILABLE, False)
        assert await here.ask() == "hello"
        assert await here.ask(model=PRO) == "hello"
        assert here.runtime.loaded == [MINI, PRO]


@pytest.mark.parametrize("directive", ["[[own:fault]]", "[[begin:fails]]"])
async def test_no_single_request_can_take_a_model_out_or_stop_other_replies(tmp_path: Path, directive: str) -> None:
    async with model_scene(tmp_path) as here:
        neighbour = asyncio.create_task(here.ask("long [[tokens:40]] [[pause:0.005]]"))
        for _ in range(6):
            with pytest.raises(GenerationFailed):
                await here.ask(f"one {directive}")

        assert here.status().state is ModelState.READY
        assert len((await neighbour).split()) == 40
        for _ in range(6):
            with pytest.raises(GenerationFailed):
                await here.ask(f"one {directive}")
        assert await here.ask() == "hello"


async def test_a_model_that_fails_its_probes_is_taken_out(tmp_path: Path) -> None:
    async with model_scene(tmp_path) as here:
        here.fake().broken_begin = ValueError("no reply can be begun")
        with pytest.raises(GenerationFailed):
            await here.ask()

        await eventually(lambda: here.status().state is ModelState.UNAVAILABLE)
        here.fake().broken_begin = None
        await eventually(lambda: here.status().state is ModelState.READY)
        assert await here.ask() == "hello"


async def test_a_reply_that_works_resets_the_count_of_failures(tmp_path: Path) -> None:
    async with model_scene(tmp_path) as here:
        for _ in range(3):
            for _ in range(2):
                with pytest.raises(GenerationFailed):
                    await here.ask("one [[fail:after:1]]")
            assert await here.ask() == "hello"


async def test_an_idle_model_is_probed_and_stays_healthy(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05, stuck_after_s=0.5)
    async with model_scene(tmp_path, limits=limits) as here:
        await eventually(lambda: here.fake(MINI).computed >= 3 and here.fake(PRO).computed >= 3)

        assert all(status.healthy for status in here.engine.status().values())


async def test_a_busy_model_is_not_probed(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05)
    async with model_scene(tmp_path, limits=limits) as here:
        before = here.fake().computed
        assert len((await here.ask("busy [[tokens:50]] [[pause:0.01]]")).split()) == 50

        # One probe may have begun before the first word and one after the last.
        assert here.fake().computed - before <= 52


async def test_a_model_without_recent_tokens_is_not_healthy(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.02, stuck_after_s=0.05, check_interval_s=60)
    async with model_scene(tmp_path, limits=limits) as here:
        first = here.status().healthy
        await asyncio.sleep(0.15)  # the watchdog does not look

        assert (first, here.status().healthy) == (True, False)


async def test_a_stuck_model_fails_its_replies_at_once_and_is_replaced(tmp_path: Path) -> None:
    limits = replace(QUICK, stuck_after_s=0.1)
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=10 * GB), limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        started = time.monotonic()
        results = await asyncio.gather(*(here.ask(f"reply {n}") for n in range(10)), return_exceptions=True)
        took_s = time.monotonic() - started
        await eventually(lambda: here.status().state is ModelState.READY)

        assert [type(result) for result in results] == [GenerationFailed] * 10
        assert took_s < 2
        assert here.fake() is not old
        assert await here.ask() == "hello"
        assert here.status().healthy
        assert await here.ask(model=PRO) == "hello"
        old.stuck.clear()
        del old
        # What the stuck thread held is given back when its call returns.
        await eventually(lambda: here.runtime.gpu_bytes == 6 * GB)


async def test_a_stuck_model_is_unhealthy_until_it_can_be_replaced(tmp_path: Path) -> None:
    limits = replace(QUICK, stuck_after_s=0.1)
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=3 * GB), limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        with pytest.raises(GenerationFailed):
            await here.ask()
        await eventually(lambda: here.status().state is ModelState.UNAVAILABLE)
        lost = here.status()
        old.stuck.clear()
        del old
        await eventually(lambda: here.status().state is ModelState.READY)

        assert text(lost).startswith("it stopped answering and could not be loaded again: needs about 2.")
        assert not lost.healthy
        assert here.status().healthy
        assert await here.ask() == "hello"


async def test_a_stuck_probe_is_detected(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05, stuck_after_s=0.1)
    async with model_scene(tmp_path, limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        await eventually(lambda: here.runtime.loaded.count(MINI) == 2)
        await eventually(lambda: here.status().state is ModelState.READY)

        assert here.fake() is not old
        old.stuck.clear()
