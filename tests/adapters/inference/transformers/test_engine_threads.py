"""The Transformers engine's threads and queues, with a stand-in for the library."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import NotLoadable
from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, OutOfMemory, Overloaded
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.transformers.fake_runtime import FakeRuntime, fake_specs

NO_TEMPLATE = Description("model_without_chat_template")
MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")


def asked(text: str, *, model: ModelId = MINI) -> GenerationRequest:
    return GenerationRequest(model=model, turns=(Turn(Role.USER, text),), max_tokens=100)


async def started(
    tmp_path: Path, runtime: FakeRuntime, *, parameters: int = 0, slots: int = 2, max_queued: int = 100
) -> TransformersEngine:
    specs = fake_specs(tmp_path / "model", parameters=parameters)
    engine = TransformersEngine(
        specs, ModelLibrary(tmp_path), runtime=lambda: runtime, slots=slots, max_queued=max_queued
    )
    await engine.start()
    return engine


async def reply(engine: TransformersEngine, request: GenerationRequest) -> str:
    generation = await engine.prepare(request)
    return "".join([chunk.text async for chunk in generation.stream()])


async def test_the_error_of_a_reply_shows_no_details_and_the_model_continues(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime)
    with pytest.raises(GenerationFailed) as failed:
        await reply(engine, asked("one [[fail:after:2]]"))

    assert "secret" not in str(failed.value)
    assert type(failed.value) is GenerationFailed
    assert await reply(engine, asked("still here")) == "still here"
    await engine.close()


async def test_running_out_of_memory_frees_memory_and_the_model_continues(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime)
    with pytest.raises(OutOfMemory):
        await reply(engine, asked("one [[oom]]"))

    assert runtime.models[MINI].freed == 1
    assert await reply(engine, asked("still here")) == "still here"
    await engine.close()


async def test_a_closed_generation_is_not_computed_any_further(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime)
    generation = await engine.prepare(asked("a [[tokens:100]] [[pause:0.01]]"))
    stream = generation.stream()
    for _ in range(3):
        await anext(stream)
    at_stop = runtime.models[MINI].computed
    await generation.close()
    await asyncio.sleep(0.2)

    assert runtime.models[MINI].computed <= at_stop + 2
    await engine.close()


async def test_a_generation_closed_while_it_waits_is_never_computed(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime, slots=1)
    first = asyncio.create_task(reply(engine, asked("first [[sleep:0.2]]")))
    await asyncio.sleep(0.05)
    waiting = await engine.prepare(asked("second [[tokens:50]]"))
    reading = asyncio.create_task(_read(waiting.stream()))
    await asyncio.sleep(0.05)
    status = engine.status()[MINI]
    await waiting.close()

    assert (status.running, status.queued) == (1, 1)
    assert await asyncio.wait_for(reading, timeout=1) == []
    assert await first == "first"
    assert runtime.models[MINI].computed == 1
    await engine.close()


async def test_closing_the_engine_fails_running_and_waiting_replies(tmp_path: Path) -> None:
    engine = await started(tmp_path, FakeRuntime())
    generations = [await engine.prepare(asked("a [[tokens:100]] [[pause:0.02]]")) for _ in range(3)]
    readings = [asyncio.create_task(_read(generation.stream())) for generation in generations]
    await asyncio.sleep(0.1)
    await engine.close()
    results = await asyncio.wait_for(asyncio.gather(*readings, return_exceptions=True), timeout=1)

    assert [type(result) for result in results] == [GenerationFailed] * 3
    assert {status.state for status in engine.status().values()} == {ModelState.UNAVAILABLE}
    with pytest.raises(ModelUnavailable):
        await engine.prepare(asked("too late"))
    await engine.close()


async def test_a_model_that_cannot_be_loaded_does_not_affect_the_other(tmp_path: Path) -> None:
    engine = await started(tmp_path, FakeRuntime(broken={PRO: NotLoadable(NO_TEMPLATE)}))

    assert engine.status()[PRO].state is ModelState.UNAVAILABLE
    assert engine.status()[PRO].reason == NO_TEMPLATE
    with pytest.raises(ModelUnavailable, match="model_without_chat_template"):
        await engine.prepare(asked("hello", model=PRO))
    assert await reply(engine, asked("hello")) == "hello"
    await engine.close()


async def test_the_text_of_an_unexpected_load_error_stays_in_the_log(tmp_path: Path) -> None:
    engine = await started(tmp_path, FakeRuntime(broken={MINI: ValueError("/a/private/path")}))

    assert engine.status()[MINI].reason == Description.of("model_not_loaded", error="ValueError")
    await engine.close()


async def test_a_model_that_does_not_fit_is_not_loaded_and_says_why(tmp_path: Path) -> None:
    runtime = FakeRuntime(gpu_bytes=1_000_000_000)
    engine = await started(tmp_path, runtime, parameters=12_000_000_000)

    status = engine.status()[PRO]
    assert status.state is ModelState.UNAVAILABLE
    assert status.reason
    assert "and 1.0 GB are free" in render(status.reason)
    assert runtime.models == {}
    await engine.close()


async def test_a_lazy_model_is_loaded_by_its_first_message(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    specs = fake_specs(tmp_path / "model", lazy=True)
    engine = TransformersEngine(specs, ModelLibrary(tmp_path), runtime=lambda: runtime)
    await engine.start()
    before, offered = dict(runtime.models), engine.status()[PRO].state

    assert await reply(engine, asked("hello", model=PRO)) == "hello"
    assert (before, offered) == ({}, ModelState.RESTING)
    assert list(runtime.models) == [PRO]
    await engine.close()


async def test_progress_is_reported_for_each_model(tmp_path: Path) -> None:
    seen: list[tuple[ModelId, str]] = []

    def report(model: ModelId, progress: Progress) -> None:
        seen.append((model, progress.stage))

    specs = fake_specs(tmp_path / "model")
    engine = TransformersEngine(specs, ModelLibrary(tmp_path), runtime=FakeRuntime, report=report)
    await engine.start()
    await engine.close()

    assert sorted(seen) == [(MINI, "load"), (MINI, "ready"), (PRO, "load"), (PRO, "ready")]


async def test_cancelling_the_wait_for_the_start_does_not_stop_the_loading(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow_runtime() -> FakeRuntime:
        go_on.wait(5)
        return FakeRuntime()

    limits = ModelLimits(load_wait_s=0.05)
    engine = TransformersEngine(
        fake_specs(tmp_path / "model"), ModelLibrary(tmp_path), runtime=slow_runtime, limits=limits
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.start(), timeout=0.05)
    while_loading = engine.status()[MINI]
    with pytest.raises(ModelUnavailable, match="model_still_loading"):
        await engine.prepare(asked("too early"))
    go_on.set()
    await engine.start()

    assert while_loading.state is ModelState.LOADING
    assert await reply(engine, asked("hello")) == "hello"
    await engine.close()


async def test_an_engine_that_never_started_can_be_closed(tmp_path: Path) -> None:
    engine = TransformersEngine(fake_specs(tmp_path / "model"), ModelLibrary(tmp_path), runtime=FakeRuntime)

    assert engine.status()[MINI].state is ModelState.RESTING
    await engine.close()


async def _read(stream: object) -> list[str]:
    return [chunk.text async for chunk in stream]  # type: ignore[attr-defined]


async def test_a_new_reply_joins_the_running_batch(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime)
    first = (await engine.prepare(asked("long [[tokens:100]] [[pause:0.01]]"))).stream()
    await anext(first)

    assert await asyncio.wait_for(reply(engine, asked("short")), timeout=0.5) == "short"
    assert engine.status()[MINI].running == 1
    assert runtime.models[MINI].widest == 2
    await anext(first)
    await engine.close()


async def test_no_more_replies_are_written_together_than_there_are_slots(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime, slots=3)
    replies = await asyncio.gather(*(reply(engine, asked(f"reply {n} [[pause:0.01]]")) for n in range(10)))

    assert replies == [f"reply {n}" for n in range(10)]
    assert runtime.models[MINI].widest == 3
    await engine.close()


@pytest.mark.parametrize("directive", ["[[fail:after:2]]", "[[begin:fails]]", "[[oom]]"])
async def test_the_failure_of_one_reply_does_not_affect_its_batch(tmp_path: Path, directive: str) -> None:
    engine = await started(tmp_path, FakeRuntime(), slots=4)
    company = [asyncio.create_task(reply(engine, asked("all is well [[tokens:30]] [[pause:0.01]]"))) for _ in range(3)]
    await asyncio.sleep(0.1)
    with pytest.raises(GenerationFailed):
        await reply(engine, asked(f"one two three {directive}"))

    assert [text.count(" ") for text in await asyncio.gather(*company)] == [29] * 3
    await engine.close()


async def test_a_failed_step_fails_its_replies_and_the_model_continues(tmp_path: Path) -> None:
    runtime = FakeRuntime()
    engine = await started(tmp_path, runtime, slots=3)
    running = [asyncio.create_task(reply(engine, asked("a [[tokens:100]] [[pause:0.01]]"))) for _ in range(3)]
    await asyncio.sleep(0.1)
    runtime.models[MINI].broken = MemoryError()
    results = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), timeout=1)
    runtime.models[MINI].broken = None

    assert [type(result) for result in results] == [OutOfMemory] * 3
    assert runtime.models[MINI].freed >= 1
    assert await reply(engine, asked("still here")) == "still here"
    await engine.close()


async def test_a_burst_of_200_on_2_slots_is_answered_or_refused(tmp_path: Path) -> None:
    engine = await started(tmp_path, FakeRuntime(), slots=2, max_queued=20)
    results = await asyncio.gather(
        *(reply(engine, asked("answered [[pause:0.005]]")) for _ in range(200)), return_exceptions=True
    )

    assert {result if isinstance(result, str) else type(result) for result in results} == {"answered", Overloaded}
    assert results.count("answered") == 22
    status = engine.status()[MINI]
    assert (status.running, status.queued) == (0, 0)
    await engine.close()
