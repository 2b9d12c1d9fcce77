"""Models that are slow to load, that cannot be loaded, or whose files are missing."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.catalogue.model_spec import FolderSource
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.transformers.runtime import NotLoadable
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import ModelState
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, Overloaded
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime, fake_specs
from tests.adapters.inference.transformers.scene import (
    MINI,
    NO_TEMPLATE,
    PRO,
    QUICK,
    model_scene,
    text,
)
from tests.kit.waiting import eventually


async def test_a_model_that_failed_to_load_is_not_tried_again_too_soon(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={MINI: ValueError("bad luck"), PRO: NotLoadable(NO_TEMPLATE)})
    async with model_scene(tmp_path, runtime, limits=replace(QUICK, retry_s=60)) as here:
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match="model_not_loaded"):
                await here.ask()
        runtime.broken.clear()
        await asyncio.sleep(0.05)

        assert here.status(MINI).state is here.status(PRO).state is ModelState.UNAVAILABLE
        assert runtime.loaded == []


async def test_a_model_that_failed_to_load_is_loaded_once_the_cause_is_gone(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={MINI: ValueError("bad luck"), PRO: NotLoadable(NO_TEMPLATE)})
    async with model_scene(tmp_path, runtime) as here:
        runtime.broken.clear()
        await eventually(lambda: here.status(MINI).state is ModelState.READY)

        assert await here.ask() == "hello"
        assert here.reason(PRO) == "its tokenizer has no chat template, so it is not a chat model"


async def test_loading_one_model_does_not_delay_the_other_and_its_own_requests_wait(tmp_path: Path) -> None:
    async with model_scene(tmp_path) as here:
        here.runtime.hold.set()
        assert await asyncio.to_thread(here.engine._models[PRO].unload)
        waiting = [asyncio.create_task(here.ask(model=PRO)) for _ in range(3)]
        await eventually(lambda: here.status(PRO).state is ModelState.LOADING)
        await eventually(lambda: here.reason(PRO).startswith("it is being loaded"))

        assert await here.ask(model=MINI) == "hello"
        assert here.status(PRO).queued == 3
        here.runtime.hold.clear()
        assert await asyncio.gather(*waiting) == ["hello"] * 3


async def test_a_request_waits_for_its_model_within_limits(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=0.05)
    async with model_scene(tmp_path, lazy=True, limits=limits, slots=1, max_queued=1) as here:
        here.runtime.hold.set()
        results = await asyncio.gather(*(here.ask() for _ in range(5)), return_exceptions=True)
        here.runtime.hold.clear()
        await eventually(lambda: here.status().state is ModelState.READY)

        kinds = [type(result) for result in results]
        assert (kinds.count(ModelUnavailable), kinds.count(Overloaded)) == (2, 3)
        assert "model_still_loading(stage=load)" in str(results[0])
        assert await here.ask() == "hello"
        assert here.runtime.loaded == [MINI]


async def test_a_model_that_hangs_while_loading_is_unavailable_until_that_ends(tmp_path: Path) -> None:
    limits = replace(QUICK, load_timeout_s=0.2)
    async with model_scene(tmp_path, limits=limits, start=False) as here:
        here.runtime.hold.set()
        await asyncio.wait_for(here.engine.start(), timeout=5)
        given_up = here.status(MINI)
        # It is tried again and again, and waits for its turn each time.
        await eventually(lambda: "another model has been on its way" in here.reason(PRO))
        for model in (MINI, PRO):
            with pytest.raises(ModelUnavailable):
                await here.ask(model=model)
        await asyncio.sleep(0.5)
        threads = [thread.name for thread in threading.enumerate() if thread.name == f"model-{MINI}"]
        here.runtime.hold.clear()
        for model in (MINI, PRO):
            await eventually(lambda model=model: here.status(model).state is ModelState.READY)

        assert given_up.state is ModelState.UNAVAILABLE
        assert "has not got further for 0.2 s (it is being loaded" in text(given_up)
        assert len(threads) == 1, "nothing is tried again beside what hangs"
        assert await here.ask(model=MINI) == await here.ask(model=PRO) == "hello"


async def test_a_model_that_hangs_while_loading_does_not_delay_a_loaded_one(tmp_path: Path) -> None:
    async with model_scene(tmp_path, limits=replace(QUICK, load_timeout_s=0.2)) as here:
        here.runtime.hold.set()
        assert await asyncio.to_thread(here.engine._models[PRO].unload)
        with pytest.raises(ModelUnavailable, match="model_load_stalled"):
            await here.ask(model=PRO)

        assert await here.ask(model=MINI) == "hello"
        here.runtime.hold.clear()
        await eventually(lambda: here.status(PRO).state is ModelState.READY)


@pytest.mark.parametrize("lazy", [True, False])
async def test_a_model_without_files_is_not_offered_and_their_place_is_not_shown(tmp_path: Path, *, lazy: bool) -> None:
    async with model_scene(tmp_path, lazy=lazy, start=False) as here:
        away = (tmp_path / "model").rename(tmp_path / "away")
        await here.engine.start()
        await eventually(lambda: here.status().state is ModelState.UNAVAILABLE)
        status = here.status()
        with pytest.raises(ModelUnavailable) as refused:
            await here.ask()

        assert (status.available, text(status)) == (False, "its files are not where the service looks for them")
        assert str(tmp_path) not in str(refused.value)
        away.rename(tmp_path / "model")
        await eventually(lambda: here.status().available)
        assert await here.ask() == "hello"


async def test_a_lazy_model_without_files_is_not_offered_from_the_start(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    (spec, _) = fake_specs(tmp_path / "model", lazy=True)
    lost = replace(spec, source=FolderSource(folder=tmp_path / "nope"))
    engine = TransformersEngine([lost], ModelLibrary(tmp_path), runtime=lambda: runtime)

    assert engine.status()[MINI].state is ModelState.UNAVAILABLE
    await engine.close()


async def test_an_engine_is_closed_while_a_model_is_stuck_and_another_loads(tmp_path: Path) -> None:
    async with model_scene(tmp_path, lazy=True) as here:
        assert await here.ask() == "hello"
        here.fake().stuck.set()
        running = asyncio.create_task(here.ask("never written"))
        await eventually(lambda: here.status().running == 1)
        here.runtime.hold.set()
        loading = asyncio.create_task(here.ask(model=PRO))
        await eventually(lambda: here.status(PRO).state is ModelState.LOADING)
        here.fake().stuck.clear()
        here.runtime.hold.clear()
        await here.engine.close()
        results = await asyncio.wait_for(asyncio.gather(running, loading, return_exceptions=True), timeout=5)

        assert all(isinstance(result, GenerationFailed | ModelUnavailable | str) for result in results)
