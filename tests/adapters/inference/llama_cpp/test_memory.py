"""Processes of llama.cpp share the memory with models of Transformers, which load on other threads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatbill.adapters.inference.llama_cpp.memory import Memory
from chatbill.adapters.inference.transformers.memory_manager import LoadTimeout, SharedMemory
from tests.adapters.inference.llama_cpp.scene import spec


async def test_a_model_waits_for_one_of_another_engine_and_the_event_loop_does_not(tmp_path: Path) -> None:
    shared = SharedMemory()
    memory = Memory(slots=1, shared=shared)
    entered = asyncio.Event()

    async def load() -> None:
        async with memory.turn(spec(), tmp_path, 60.0):
            entered.set()
            assert shared.load_lock.locked()

    with shared.load_lock:
        loading = asyncio.create_task(load())
        await asyncio.sleep(0.2)
        assert not entered.is_set()
    await loading
    assert not shared.load_lock.locked()


async def test_a_model_that_waits_too_long_or_is_not_wanted_any_more_leaves_the_lock_alone(tmp_path: Path) -> None:
    shared = SharedMemory()
    memory = Memory(slots=1, shared=shared)

    async def load(wait_s: float) -> None:
        async with memory.turn(spec(), tmp_path, wait_s):
            pytest.fail("the other engine still loads")

    with shared.load_lock:
        with pytest.raises(LoadTimeout):
            await load(0.0)
        loading = asyncio.create_task(load(60.0))
        await asyncio.sleep(0.1)
        loading.cancel()
        await asyncio.wait({loading})
    assert loading.cancelled()
    assert not shared.load_lock.locked()
