"""The life of models: they share the memory, come and go, are tried, taken out, and replaced; with fakes of torch."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chatbill.adapters.inference.catalogue.model_spec import FolderSource
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import NotLoadable
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest, ModelState, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, OutOfMemory, Overloaded
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.fake_runtime import FakeModel, FakeRuntime, fake_specs

MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
GB = 1_000_000_000
NO_TEMPLATE = Description("model_without_chat_template")
BILLION = 1_000_000_000
"""Parameters of each fake: 2 GB of weights, and 0.7 GB to write 8 replies at once."""
ROOM_FOR_ONE, ROOM_FOR_BOTH = 4 * GB, 6 * GB
QUICK = ModelLimits(load_wait_s=5, probe_interval_s=0, stuck_after_s=60, retry_s=0.05, check_interval_s=0.01)


@dataclass
class Life:
    """An engine on a fake machine."""

    engine: TransformersEngine
    runtime: FakeRuntime

    def status(self, model: ModelId = MINI) -> ModelStatus:
        return self.engine.status()[model]

    def reason(self, model: ModelId = MINI) -> str:
        return text(self.status(model))

    def fake(self, model: ModelId = MINI) -> FakeModel:
        return self.runtime.models[model]

    async def ask(self, text: str = "hello", model: ModelId = MINI) -> str:
        generation = await self.engine.prepare(asked(text, model))
        return "".join([piece.text async for piece in generation.stream()])

    async def until(self, true: Callable[[], bool], *, within_s: float = 5.0) -> None:
        await _until(true, within_s=within_s)


def text(status: ModelStatus) -> str:
    return render(status.reason) if status.reason else ""


async def _until(true: Callable[[], bool], *, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def asked(text: str, model: ModelId = MINI) -> GenerationRequest:
    return GenerationRequest(model=model, turns=(Turn(Role.USER, text),), max_tokens=100)


@asynccontextmanager
async def life(
    tmp_path: Path,
    runtime: FakeRuntime | None = None,
    *,
    limits: ModelLimits = QUICK,
    lazy: bool = False,
    slots: int = 8,
    max_queued: int = 100,
    start: bool = True,
) -> AsyncIterator[Life]:
    runtime = runtime or FakeRuntime()
    specs = fake_specs(tmp_path / "model", parameters=BILLION, lazy=lazy)
    engine = TransformersEngine(
        specs, ModelLibrary(tmp_path), runtime=lambda: runtime, slots=slots, max_queued=max_queued, limits=limits
    )
    if start:
        await engine.start()
    try:
        yield Life(engine, runtime)
    finally:
        runtime.hold.clear()
        runtime.hold_full.clear()
        for model in runtime.models.values():
            model.stuck.clear()
        await engine.close()


async def test_both_stay_while_they_fit_and_switching_loads_nothing(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_BOTH)) as here:
        for model in (MINI, PRO, MINI, PRO):
            assert await here.ask(model=model) == "hello"

        assert here.runtime.loaded == [MINI, PRO]


async def test_the_first_of_the_catalogue_is_loaded_and_the_other_rests_where_only_one_fits(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        assert here.runtime.loaded == [MINI]
        assert (here.status(MINI).state, here.status(PRO).state) == (ModelState.READY, ModelState.RESTING)
        assert all(status.available and status.healthy for status in here.engine.status().values())


async def test_an_idle_model_leaves_for_the_one_that_is_asked_for_and_comes_back(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        assert await here.ask(model=PRO) == "hello"
        after_the_switch = here.runtime.gpu_bytes
        states = here.status(MINI).state, here.status(PRO).state
        assert await here.ask(model=MINI) == "hello"

        assert states == (ModelState.RESTING, ModelState.READY)
        assert after_the_switch == 2 * GB
        assert here.runtime.loaded == [MINI, PRO, MINI]
    gc.collect()
    assert here.runtime.gpu_bytes == ROOM_FOR_ONE


async def test_who_comes_while_another_is_loaded_is_not_told_that_it_could_never_fit(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), lazy=True) as here:
        here.runtime.hold_full.set()
        first = asyncio.create_task(here.ask(model=MINI))
        await here.until(lambda: here.runtime.gpu_bytes == ROOM_FOR_ONE - 2 * GB)
        second = asyncio.create_task(here.ask(model=PRO))
        await asyncio.wait([second], timeout=0.1)
        here.runtime.hold_full.clear()

        assert [await first, await second] == ["hello", "hello"]


async def test_a_busy_model_never_leaves_and_who_asks_for_the_other_waits_for_it(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE)) as here:
        here.fake().stuck.set()  # it is busy until told otherwise
        busy = asyncio.create_task(here.ask("long [[tokens:20]]"))
        await here.until(lambda: here.status(MINI).running == 1)
        other = asyncio.create_task(here.ask(model=PRO))
        await here.until(lambda: "make room" in here.reason(PRO))
        here.fake().stuck.clear()

        assert len((await busy).split()) == 20
        assert await other == "hello"
        assert here.runtime.loaded == [MINI, PRO]


async def test_a_place_that_is_taken_keeps_a_model_before_anything_is_written(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=0.2)
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), limits=limits) as here:
        waiting = await here.engine.prepare(asked("not streamed yet"))
        with pytest.raises(ModelUnavailable):
            await here.ask(model=PRO)

        assert "".join([piece.text async for piece in waiting.stream()]) == "not streamed yet"
        assert here.runtime.loaded == [MINI]


async def test_one_that_finds_no_room_in_time_is_told_so_and_may_be_asked_again(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=3)
    async with life(tmp_path, FakeRuntime(gpu_bytes=ROOM_FOR_ONE), limits=limits) as here:
        busy = asyncio.create_task(here.ask("long [[tokens:200]] [[pause:0.1]]"))
        await here.until(lambda: here.status(MINI).running == 1)
        with pytest.raises(ModelUnavailable, match=r"stage=room|model_no_room\(others=demo-mini"):
            await here.ask(model=PRO)
        await here.until(lambda: here.status(PRO).state is ModelState.RESTING)
        busy.cancel()
        await here.until(lambda: here.status(MINI).running == 0)

        # On a busy machine making room alone can take longer than so short a wait; the next request finds it made.
        answer = ""
        for _ in range(20):
            with suppress(ModelUnavailable):
                answer = await here.ask(model=PRO)
                break
        assert answer == "hello"
        assert here.runtime.loaded == [MINI, PRO]


async def test_nothing_leaves_for_a_model_that_would_not_fit_anyway(tmp_path: Path) -> None:
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
    await _until(lambda: engine.status()[PRO].state is ModelState.READY)

    assert (short.state, short.available, short.healthy) == (ModelState.UNAVAILABLE, False, True)
    # It may have looked while the other was being loaded.
    assert re.search(r"needs about 24\.8 GB of GPU memory .*; free (18|20)\.8 GB more", text(short))
    assert machine.loaded == [MINI, PRO]
    await engine.close()


async def test_one_that_cannot_be_loaded_is_not_tried_again_too_soon(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={MINI: ValueError("bad luck"), PRO: NotLoadable(NO_TEMPLATE)})
    async with life(tmp_path, runtime, limits=replace(QUICK, retry_s=60)) as here:
        for _ in range(3):
            with pytest.raises(ModelUnavailable, match="model_not_loaded"):
                await here.ask()
        runtime.broken.clear()
        await asyncio.sleep(0.05)

        assert here.status(MINI).state is here.status(PRO).state is ModelState.UNAVAILABLE
        assert runtime.loaded == []


async def test_one_that_could_not_be_loaded_is_loaded_when_what_was_wrong_is_right(tmp_path: Path) -> None:
    runtime = FakeRuntime(broken={MINI: ValueError("bad luck"), PRO: NotLoadable(NO_TEMPLATE)})
    async with life(tmp_path, runtime) as here:
        runtime.broken.clear()
        await here.until(lambda: here.status(MINI).state is ModelState.READY)

        assert await here.ask() == "hello"
        assert here.reason(PRO) == "its tokenizer has no chat template, so it is not a chat model"


async def test_loading_one_model_does_not_hinder_the_other_and_its_own_requests_wait(tmp_path: Path) -> None:
    async with life(tmp_path) as here:
        here.runtime.hold.set()
        assert await asyncio.to_thread(here.engine._models[PRO].leave)
        waiting = [asyncio.create_task(here.ask(model=PRO)) for _ in range(3)]
        await here.until(lambda: here.status(PRO).state is ModelState.LOADING)
        await here.until(lambda: here.reason(PRO).startswith("it is being loaded"))

        assert await here.ask(model=MINI) == "hello"
        assert here.status(PRO).queued == 3
        here.runtime.hold.clear()
        assert await asyncio.gather(*waiting) == ["hello"] * 3


async def test_a_request_waits_for_its_model_within_limits(tmp_path: Path) -> None:
    limits = replace(QUICK, load_wait_s=0.05)
    async with life(tmp_path, lazy=True, limits=limits, slots=1, max_queued=1) as here:
        here.runtime.hold.set()
        results = await asyncio.gather(*(here.ask() for _ in range(5)), return_exceptions=True)
        here.runtime.hold.clear()
        await here.until(lambda: here.status().state is ModelState.READY)

        kinds = [type(result) for result in results]
        assert (kinds.count(ModelUnavailable), kinds.count(Overloaded)) == (2, 3)
        assert "model_still_loading(stage=load)" in str(results[0])
        assert await here.ask() == "hello"
        assert here.runtime.loaded == [MINI]


async def test_a_model_that_hangs_while_it_is_loaded_is_given_up_until_that_ends(tmp_path: Path) -> None:
    limits = replace(QUICK, load_timeout_s=0.2)
    async with life(tmp_path, limits=limits, start=False) as here:
        here.runtime.hold.set()
        await asyncio.wait_for(here.engine.start(), timeout=5)
        given_up = here.status(MINI)
        # It is tried again and again, and waits for its turn each time.
        await here.until(lambda: "another model has been on its way" in here.reason(PRO))
        for model in (MINI, PRO):
            with pytest.raises(ModelUnavailable):
                await here.ask(model=model)
        await asyncio.sleep(0.5)
        threads = [thread.name for thread in threading.enumerate() if thread.name == f"model-{MINI}"]
        here.runtime.hold.clear()
        for model in (MINI, PRO):
            await here.until(lambda model=model: here.status(model).state is ModelState.READY)  # type: ignore[misc]

        assert given_up.state is ModelState.UNAVAILABLE
        assert "has not got further for 0.2 s (it is being loaded" in text(given_up)
        assert len(threads) == 1, "nothing is tried again beside what hangs"
        assert await here.ask(model=MINI) == await here.ask(model=PRO) == "hello"


async def test_a_model_that_hangs_while_it_is_loaded_does_not_hinder_one_that_is_in_memory(tmp_path: Path) -> None:
    async with life(tmp_path, limits=replace(QUICK, load_timeout_s=0.2)) as here:
        here.runtime.hold.set()
        assert await asyncio.to_thread(here.engine._models[PRO].leave)
        with pytest.raises(ModelUnavailable, match="model_load_stalled"):
            await here.ask(model=PRO)

        assert await here.ask(model=MINI) == "hello"
        here.runtime.hold.clear()
        await here.until(lambda: here.status(PRO).state is ModelState.READY)


async def test_where_memory_is_short_fewer_replies_are_written_at_once(tmp_path: Path) -> None:
    async with life(tmp_path, FakeRuntime(gpu_bytes=2_640_000_000), lazy=True) as here:
        replies = await asyncio.gather(*(here.ask("a b c d e [[pause:0.01]]") for _ in range(8)))

        assert replies == ["a b c d e"] * 8
        assert 1 <= here.fake().widest < 8


async def test_a_model_that_keeps_failing_is_taken_out_and_comes_back_after_a_trial_that_works(tmp_path: Path) -> None:
    async with life(tmp_path) as here:
        here.fake().broken = MemoryError()
        for _ in range(3):
            with pytest.raises(OutOfMemory):
                await here.ask()
        out = here.status()
        with pytest.raises(ModelUnavailable, match="model_failed_repeatedly\\(failures=3"):
            await here.ask()
        await here.until(lambda: "4 times" in here.reason())  # a trial failed
        here.fake().broken = None
        await here.until(lambda: here.status().state is ModelState.READY)

        assert (out.state, out.available) == (ModelState.UNAVAILABLE, False)
        assert await here.ask() == "hello"
        assert await here.ask(model=PRO) == "hello"
        assert here.runtime.loaded == [MINI, PRO]


@pytest.mark.parametrize("directive", ["[[own:fault]]", "[[begin:fails]]"])
async def test_no_request_can_take_a_model_out_by_itself_and_its_neighbours_write_on(
    tmp_path: Path, directive: str
) -> None:
    async with life(tmp_path) as here:
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


@pytest.mark.parametrize("lazy", [True, False])
async def test_a_model_without_files_is_not_offered_and_nobody_is_told_where_they_should_be(
    tmp_path: Path, *, lazy: bool
) -> None:
    async with life(tmp_path, lazy=lazy, start=False) as here:
        away = (tmp_path / "model").rename(tmp_path / "away")
        await here.engine.start()
        await here.until(lambda: here.status().state is ModelState.UNAVAILABLE)
        status = here.status()
        with pytest.raises(ModelUnavailable) as refused:
            await here.ask()

        assert (status.available, text(status)) == (False, "its files are not where the service looks for them")
        assert str(tmp_path) not in str(refused.value)
        away.rename(tmp_path / "model")
        await here.until(lambda: here.status().available)
        assert await here.ask() == "hello"


async def test_a_lazy_model_without_files_is_not_offered_before_anybody_looks(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    (spec, _) = fake_specs(tmp_path / "model", lazy=True)
    lost = replace(spec, source=FolderSource(folder=tmp_path / "nope"))
    engine = TransformersEngine([lost], ModelLibrary(tmp_path), runtime=lambda: runtime)

    assert engine.status()[MINI].state is ModelState.UNAVAILABLE
    await engine.close()


async def test_a_model_that_fails_its_trials_too_is_taken_out(tmp_path: Path) -> None:
    async with life(tmp_path) as here:
        here.fake().broken_begin = ValueError("no reply can be begun")
        with pytest.raises(GenerationFailed):
            await here.ask()

        await here.until(lambda: here.status().state is ModelState.UNAVAILABLE)
        here.fake().broken_begin = None
        await here.until(lambda: here.status().state is ModelState.READY)
        assert await here.ask() == "hello"


async def test_a_reply_that_works_forgives_those_that_failed(tmp_path: Path) -> None:
    async with life(tmp_path) as here:
        for _ in range(3):
            for _ in range(2):
                with pytest.raises(GenerationFailed):
                    await here.ask("one [[fail:after:1]]")
            assert await here.ask() == "hello"


async def test_an_idle_model_is_tried_and_vouched_for(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05, stuck_after_s=0.5)
    async with life(tmp_path, limits=limits) as here:
        await here.until(lambda: here.fake(MINI).computed >= 3 and here.fake(PRO).computed >= 3)

        assert all(status.healthy for status in here.engine.status().values())


async def test_a_model_that_writes_is_not_tried(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05)
    async with life(tmp_path, limits=limits) as here:
        before = here.fake().computed
        assert len((await here.ask("busy [[tokens:50]] [[pause:0.01]]")).split()) == 50

        # One trial may have begun before the first word and one after the last.
        assert here.fake().computed - before <= 52


async def test_nobody_vouches_for_a_model_that_was_not_seen_to_write(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.02, stuck_after_s=0.05, check_interval_s=60)
    async with life(tmp_path, limits=limits) as here:
        first = here.status().healthy
        await asyncio.sleep(0.15)  # the watchdog does not look

        assert (first, here.status().healthy) == (True, False)


async def test_a_stuck_model_fails_its_replies_at_once_and_is_replaced(tmp_path: Path) -> None:
    limits = replace(QUICK, stuck_after_s=0.1)
    async with life(tmp_path, FakeRuntime(gpu_bytes=10 * GB), limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        started = time.monotonic()
        results = await asyncio.gather(*(here.ask(f"reply {n}") for n in range(10)), return_exceptions=True)
        took_s = time.monotonic() - started
        await here.until(lambda: here.status().state is ModelState.READY)

        assert [type(result) for result in results] == [GenerationFailed] * 10
        assert took_s < 2
        assert here.fake() is not old
        assert await here.ask() == "hello"
        assert here.status().healthy
        assert await here.ask(model=PRO) == "hello"
        old.stuck.clear()
        del old
        # What the stuck thread held is given back when its call returns.
        await here.until(lambda: here.runtime.gpu_bytes == 6 * GB)


async def test_a_stuck_model_that_cannot_be_replaced_makes_the_service_unready_until_it_can(tmp_path: Path) -> None:
    limits = replace(QUICK, stuck_after_s=0.1)
    async with life(tmp_path, FakeRuntime(gpu_bytes=3 * GB), limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        with pytest.raises(GenerationFailed):
            await here.ask()
        await here.until(lambda: here.status().state is ModelState.UNAVAILABLE)
        lost = here.status()
        old.stuck.clear()
        del old
        await here.until(lambda: here.status().state is ModelState.READY)

        assert text(lost).startswith("it stopped answering and could not be loaded again: needs about 2.")
        assert not lost.healthy
        assert here.status().healthy
        assert await here.ask() == "hello"


async def test_a_trial_that_is_stuck_is_noticed_too(tmp_path: Path) -> None:
    limits = replace(QUICK, probe_interval_s=0.05, stuck_after_s=0.1)
    async with life(tmp_path, limits=limits) as here:
        old = here.fake()
        old.stuck.set()
        await here.until(lambda: here.runtime.loaded.count(MINI) == 2)
        await here.until(lambda: here.status().state is ModelState.READY)

        assert here.fake() is not old
        old.stuck.clear()


async def test_an_engine_is_closed_while_a_model_is_stuck_and_another_loads(tmp_path: Path) -> None:
    async with life(tmp_path, lazy=True) as here:
        assert await here.ask() == "hello"
        here.fake().stuck.set()
        running = asyncio.create_task(here.ask("never written"))
        await here.until(lambda: here.status().running == 1)
        here.runtime.hold.set()
        loading = asyncio.create_task(here.ask(model=PRO))
        await here.until(lambda: here.status(PRO).state is ModelState.LOADING)
        here.fake().stuck.clear()
        here.runtime.hold.clear()
        await here.engine.close()
        results = await asyncio.wait_for(asyncio.gather(running, loading, return_exceptions=True), timeout=5)

        assert all(isinstance(result, GenerationFailed | ModelUnavailable | str) for result in results)
