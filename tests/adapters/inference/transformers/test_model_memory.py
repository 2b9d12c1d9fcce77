"""Models share the memory: they are loaded and unloaded as requests need them."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.transformers.memory_manager import (
    DoesNotFit,
    LoadTimeout,
    MemoryManager,
    SharedMemory,
)
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import UserId
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime, fake_specs
from tests.adapters.inference.transformers.scene import (
    BILLION,
    GB,
    MINI,
    PRO,
    QUICK,
    ROOM_FOR_BOTH,
    ROOM_FOR_ONE,
    asked,
    model_scene,
    text,
)
from tests.adapters.inference.transformers.test_prefix_cache import FakeKeys
from tests.kit.waiting import eventually


async def test_both_models_stay_loaded_while_they_fit(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_BOTH)) as here:
        for model in (MINI, PRO, MINI, PRO):
            assert await here.ask(model=model) == "hello"

        assert here.runtime.loaded == [MINI, PRO]


async def test_where_only_one_model_fits_the_first_is_loaded_and_the_other_rests(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        assert here.runtime.loaded == [MINI]
        assert (here.status(MINI).state, here.status(PRO).state) == (ModelState.READY, ModelState.RESTING)
        assert all(status.available and status.healthy for status in here.engine.status().values())


async def test_an_idle_model_is_unloaded_for_another_and_reloaded(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        assert await here.ask(model=PRO) == "hello"
        after_the_switch = here.runtime.gpu_bytes
        states = here.status(MINI).state, here.status(PRO).state
        assert await here.ask(model=MINI) == "hello"

        assert states == (ModelState.RESTING, ModelState.READY)
        assert after_the_switch == 2 * GB
        assert here.runtime.loaded == [MINI, PRO, MINI]
    gc.collect()
    assert here.runtime.gpu_bytes == ROOM_FOR_ONE


async def test_a_request_during_another_load_is_not_refused_for_lack_of_memory(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), lazy=True) as here:
        here.runtime.hold_full.set()
        first = asyncio.create_task(here.ask(model=MINI))
        await eventually(lambda: here.runtime.gpu_bytes == ROOM_FOR_ONE - 2 * GB)
        second = asyncio.create_task(here.ask(model=PRO))
        await asyncio.wait([second], timeout=0.1)
        here.runtime.hold_full.clear()

        assert [await first, await second] == ["hello", "hello"]


async def test_a_busy_model_is_not_unloaded_and_requests_for_the_other_wait(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        here.fake().stuck.set()  # it is busy until told otherwise
        busy = asyncio.create_task(here.ask("long [[tokens:20]]"))
        await eventually(lambda: here.status(MINI).running == 1)
        other = asyncio.create_task(here.ask(model=PRO))
        await eventually(lambda: "make room" in here.reason(PRO))
        here.fake().stuck.clear()

        assert len((await busy).split()) == 20
        assert await other == "hello"
        assert here.runtime.loaded == [MINI, PRO]


async def test_a_model_with_a_place_taken_is_not_unloaded(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=0.2)
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), limits=limits) as here:
        waiting = await here.engine.prepare(asked("not streamed yet"))
        with pytest.raises(ModelUnavailable):
            await here.ask(model=PRO)

        assert "".join([chunk.text async for chunk in waiting.stream()]) == "not streamed yet"
        assert here.runtime.loaded == [MINI]


async def test_a_model_without_room_in_time_is_unavailable_and_can_be_asked_again(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=3)
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), limits=limits) as here:
        busy = asyncio.create_task(here.ask("long [[tokens:200]] [[pause:0.1]]"))
        await eventually(lambda: here.status(MINI).running == 1)
        with pytest.raises(ModelUnavailable, match=r"stage=room|model_no_room\(others=demo-mini"):
            await here.ask(model=PRO)
        await eventually(lambda: here.status(PRO).state is ModelState.RESTING)
        busy.cancel()
        await eventually(lambda: here.status(MINI).running == 0)

        # On a busy machine making room alone can take longer than so short a wait; the next request finds it made.
        answer = ""
        for _ in range(20):
            with suppress(ModelUnavailable):
                answer = await here.ask(model=PRO)
                break
        assert answer == "hello"
        assert here.runtime.loaded == [MINI, PRO]


async def test_no_model_is_unloaded_for_one_that_would_not_fit_anyway(tmp_path: Path) -> None:
    runtime = FakeRuntime(gpu_bytes=ROOM_FOR_ONE)
    mini, pro = fake_specs(tmp_path / "model", parameters=BILLION)
    specs = mini, replace(pro, parameters=12 * BILLION, lazy=True)
    engine = TransformersEngine(specs, ModelLibrary(tmp_path), runtime=lambda: runtime, limits=QUICK)
    await engine.start()
    with pytest.raises(ModelUnavailable, match=r"model_memory\(need_bytes=24.*short_bytes="):
        await engine.prepare(asked("hello", PRO))

    assert engine.status()[MINI].state is ModelState.READY
    assert runtime.loaded == [MINI]
    await engine.close()


async def test_the_service_starts_with_the_small_model_when_the_large_one_does_not_fit(tmp_path: Path) -> None:
    machine = FakeRuntime(gpu_bytes=ROOM_FOR_BOTH)
    mini, pro = fake_specs(tmp_path / "model", parameters=BILLION)
    specs = mini, replace(pro, parameters=12 * BILLION)
    engine = TransformersEngine(specs, ModelLibrary(tmp_path), runtime=lambda: machine, limits=QUICK)
    await engine.start()
    short = engine.status()[PRO]
    machine.gpu_bytes = 44 * GB
    await eventually(lambda: engine.status()[PRO].state is ModelState.READY)

    assert (short.state, short.available, short.healthy) == (ModelState.UNAVAILABLE, False, True)
    # It may have looked while the other was being loaded.
    assert re.search(r"needs about 24\.8 GB of GPU memory .*; free (18|20)\.8 GB more", text(short))
    assert machine.loaded == [MINI, PRO]
    await engine.close()


async def test_where_memory_is_short_fewer_replies_are_written_at_once(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=2_640_000_000), lazy=True) as here:
        replies = await asyncio.gather(*(here.ask("a b c d e [[pause:0.01]]") for _ in range(8)))

        assert replies == ["a b c d e"] * 8
        assert 1 <= here.fake().widest < 8


async def test_what_a_model_keeps_is_given_up_for_another_that_is_loaded(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=5_450_000_000), lazy=True) as here:
        await here.ask(model=MINI)
        prefixes = here.fake(MINI).prefixes
        prefixes.keep(UserId("anna"), [1, 2, 3], FakeKeys(100))
        kept = prefixes.size_bytes
        await here.ask(model=PRO)
        pro = here.fake(PRO).prefixes
        pro.keep(UserId("anna"), [1, 2, 3], FakeKeys(10))

        assert (kept, prefixes.size_bytes, pro.size_bytes) == (100, 0, 10)
        assert set(here.runtime.models) == {MINI, PRO}


async def test_what_a_model_keeps_stays_while_there_is_room_for_another(tmp_path: Path) -> None:
    async with model_scene(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_BOTH), lazy=True) as here:
        await here.ask(model=MINI)
        here.fake(MINI).prefixes.keep(UserId("anna"), [1, 2, 3], FakeKeys(100))
        await here.ask(model=PRO)

        assert here.fake(MINI).prefixes.size_bytes == 100


async def test_where_nothing_shall_be_kept_nothing_is(tmp_path: Path) -> None:
    async with model_scene(tmp_path, limits=replace(QUICK, prefix_bytes=0)) as here:
        here.fake(MINI).prefixes.keep(UserId("anna"), [1, 2, 3], FakeKeys(100))

        assert here.fake(MINI).prefixes.size_bytes == 0


async def test_on_a_cpu_an_int8_model_runs_from_its_copy(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    (mini, pro) = (replace(spec, weights=Weights.INT8) for spec in fake_specs(tmp_path / "model", parameters=1))
    async with engine_of(tmp_path, runtime, mini):
        assert (runtime.folders[MINI] / "int8").is_file()
        assert runtime.folders[MINI].parent == tmp_path
    async with engine_of(tmp_path, on_gpu := FakeRuntime(gpu_bytes=ROOM_FOR_ONE, device="cuda"), pro):
        assert on_gpu.folders[PRO] == tmp_path / "model"


async def test_without_disk_for_a_copy_the_model_is_quantized_at_each_start(tmp_path: Path) -> None:
    class FullDisk(FakeRuntime):
        def quantize(self, source: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

    runtime, (mini, _) = FullDisk(), fake_specs(tmp_path / "model", parameters=1)
    async with engine_of(tmp_path, runtime, replace(mini, weights=Weights.INT8)) as engine:
        assert runtime.folders[MINI] == tmp_path / "model"
        assert engine.status()[MINI].state is ModelState.READY


def test_mapped_weights_of_a_loaded_model_are_not_free_for_another(tmp_path: Path) -> None:
    spec, other = fake_specs(tmp_path / "model", parameters=BILLION)
    runtime = FakeRuntime(gpu_bytes=ROOM_FOR_ONE)
    for mapped_bytes, fits in ((0, True), (2 * GB, False)):
        manager = MemoryManager(ModelLibrary(tmp_path), slots=1)
        fit = manager._library.fits(other, free_gpu_bytes=ROOM_FOR_ONE)
        loaded = FakeLoaded(other, replace(fit, need=replace(fit.need, mapped_bytes=mapped_bytes)))
        manager.add(loaded)

        assert manager._beside_others(spec, runtime).fits is fits
        # Without the other model, what its file takes would be no more free than it is reported to be.
        assert manager._alone(spec, runtime).free_bytes == ROOM_FOR_ONE + 2 * GB - mapped_bytes


def test_an_idle_model_of_another_engine_in_the_same_memory_leaves_too(tmp_path: Path) -> None:
    spec, other = fake_specs(tmp_path / "model", parameters=BILLION)
    shared, library = SharedMemory(), ModelLibrary(tmp_path)
    here, there = (MemoryManager(library, slots=1, shared=shared) for _ in range(2))
    machine = FakeRuntime(gpu_bytes=ROOM_FOR_ONE - 2 * GB)
    fit = library.fits(other, free_gpu_bytes=ROOM_FOR_ONE)
    there.add(FakeLoaded(other, fit, on=machine))

    with here.load_lock(wait_s=0), pytest.raises(LoadTimeout), there.load_lock(wait_s=0):
        pass
    with pytest.raises(DoesNotFit):
        MemoryManager(library, slots=1).make_room(spec, machine, wait_s=1)
    assert here.make_room(spec, machine, wait_s=1).fits
    assert machine.gpu_bytes == ROOM_FOR_ONE


@dataclass
class FakeLoaded:
    spec: ModelSpec
    fit: Fit | None
    last_used_at: float = 0.0
    prefix_bytes: int = 0
    on: FakeRuntime | None = None

    def give_up_prefixes(self) -> bool:
        return False

    def unload(self) -> bool:
        if not self.on or not self.on.gpu_bytes or not self.fit:
            return False
        self.on.gpu_bytes += self.fit.need.weights_bytes
        self.fit = None
        return True


@asynccontextmanager
async def engine_of(tmp_path: Path, runtime: FakeRuntime, *specs: ModelSpec) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(specs, ModelLibrary(tmp_path), runtime=lambda: runtime, slots=1, limits=QUICK)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()
