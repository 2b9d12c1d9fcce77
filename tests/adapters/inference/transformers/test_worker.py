"""One model's thread as its watcher sees it: signs of life, failures in a row, and being given up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from chatbill.adapters.inference.transformers.generation import ThreadedGeneration
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import LocalModel
from chatbill.adapters.inference.transformers.worker import Worker
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed
from chatbill.domain.shared.ids import ModelId
from tests.adapters.inference.transformers.fake_runtime import FakeModel
from tests.kit.waiting import eventually

STUCK, SLOW = Description("stuck"), Description("slow")


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def worker(model: FakeModel) -> AsyncIterator[Worker]:
    worker = made(lambda: model)
    worker.start()
    await worker.wait_until_settled()
    yield worker
    model.stuck.clear()
    worker.close(wait_s=5)


def made(loading: Callable[[], LocalModel]) -> Worker:
    return Worker(
        "demo", loading=loading, explain=lambda error: Description(str(error)), health=ModelLimits().health(), slots=2
    )


def asked(worker: Worker, text: str) -> ThreadedGeneration:
    request = GenerationRequest(model=ModelId("demo"), turns=(Turn(Role.USER, text),), max_tokens=100)
    return ThreadedGeneration(request, [1], max_tokens=100, submit=worker.submit, give_back=lambda _: None)


async def reply(generation: ThreadedGeneration) -> str:
    return "".join([chunk.text async for chunk in generation.stream()])


@pytest.mark.parametrize("broken", [None, ValueError("of a test")])
async def test_a_thread_reads_ahead_when_nothing_is_to_be_written_and_no_error_there_is_a_failure(
    worker: Worker, model: FakeModel, broken: Exception | None
) -> None:
    model.ahead = 2
    assert await reply(asked(worker, "hello")) == "hello"
    await eventually(lambda: not model.ahead)
    model.ahead, model.broken = 2, broken
    await (cancelled := asked(worker, "")).close()
    worker.submit(cancelled)  # wakes the thread
    await eventually(lambda: not model.ahead)
    model.broken = None

    assert await reply(asked(worker, "hello")) == "hello"
    assert worker.health.fault is None


async def test_every_step_is_progress_and_so_is_work_for_an_idle_thread(worker: Worker, model: FakeModel) -> None:
    loaded_at = worker.last_progress_at
    await asyncio.sleep(0.02)
    assert (worker.last_progress_at, worker.busy) == (loaded_at, False)

    model.stuck.set()
    stuck = asyncio.create_task(reply(asked(worker, "hello")))
    await eventually(lambda: worker.busy)
    asked_at = worker.last_progress_at
    assert loaded_at < asked_at <= time.monotonic()
    await asyncio.sleep(0.05)
    assert worker.last_progress_at == asked_at

    model.stuck.clear()
    assert await stuck == "hello"
    assert worker.last_progress_at > asked_at
    await eventually(lambda: not worker.busy)


async def test_failures_in_a_row_are_counted_until_a_reply_works(worker: Worker) -> None:
    for failures in (1, 2):
        with pytest.raises(GenerationFailed):
            await reply(asked(worker, "a [[fail:before]]"))
        assert worker.health.breaker.failures == failures

    await reply(asked(worker, "works"))
    assert worker.health.breaker.failures == 0


@pytest.mark.parametrize("directive", ["[[own:fault]]", "[[begin:fails]]"])
async def test_a_failure_that_its_request_may_have_caused_asks_for_a_probe(worker: Worker, directive: str) -> None:
    with pytest.raises(GenerationFailed):
        await reply(asked(worker, f"a {directive}"))
    assert (worker.health.breaker.failures, worker.health.probe_requested) == (0, True)

    await reply(asked(worker, "works"))
    assert (worker.health.breaker.failures, worker.health.probe_requested) == (0, False)


async def test_a_step_that_fails_for_two_replies_counts_once(worker: Worker, model: FakeModel) -> None:
    both = [asyncio.create_task(reply(asked(worker, "a [[tokens:100]] [[pause:0.01]]"))) for _ in range(2)]
    await eventually(lambda: worker.running == 2)
    await asyncio.sleep(0.05)
    model.broken = ValueError("broken")
    assert {type(result) for result in await asyncio.gather(*both, return_exceptions=True)} == {GenerationFailed}

    assert worker.health.breaker.failures == 1
    model.broken = None


async def test_a_closed_reply_is_not_a_failure_and_not_computed_further(worker: Worker) -> None:
    generation = asked(worker, "a [[tokens:100]] [[pause:0.01]]")
    stream = generation.stream()
    for _ in range(3):
        await anext(stream)
    left_at = generation.tokens_computed
    await generation.close()
    await eventually(lambda: not worker.busy)
    await asyncio.sleep(0.1)

    assert left_at <= generation.tokens_computed <= left_at + 2
    assert worker.tokens_written == generation.tokens_computed
    assert (worker.health.breaker.failures, worker.running) == (0, 0)


async def test_cancelled_replies_do_not_stay_in_the_queue(worker: Worker, model: FakeModel) -> None:
    model.stuck.set()
    writing = [asyncio.create_task(reply(asked(worker, "a [[tokens:3]]"))) for _ in range(2)]
    await eventually(lambda: worker.running == 2)
    for _ in range(50):
        left = asyncio.create_task(reply(asked(worker, "never read")))
        await asyncio.sleep(0)
        left.cancel()
    await asyncio.sleep(0.01)
    waits = asyncio.create_task(reply(asked(worker, "waits")))
    await asyncio.sleep(0.01)

    assert worker.waiting == 1
    model.stuck.clear()
    assert await asyncio.gather(*writing, waits) == ["a a a", "a a a", "waits"]


async def test_a_stuck_thread_is_abandoned_at_once_and_ends_later(worker: Worker, model: FakeModel) -> None:
    model.stuck.set()
    replies = [asyncio.create_task(reply(asked(worker, f"number {n}"))) for n in range(4)]
    await eventually(lambda: worker.running == 2)
    await asyncio.sleep(0.02)
    worker.abandon(STUCK)
    results = await asyncio.wait_for(asyncio.gather(*replies, return_exceptions=True), timeout=1)

    assert {type(result) for result in results} == {GenerationFailed}
    assert (worker.model, worker.reason, worker.running, worker.busy) == (None, STUCK, 0, False)
    with pytest.raises(GenerationFailed):
        await reply(asked(worker, "too late"))
    assert model.freed == 0
    model.stuck.clear()
    await eventually(lambda: model.freed == 1)
    assert worker.reason == STUCK


async def test_a_thread_stuck_in_loading_is_abandoned_too(model: FakeModel) -> None:
    go_on = threading.Event()

    def slow() -> LocalModel:
        go_on.wait(5)
        return model

    worker = made(slow)
    worker.start()
    worker.abandon(SLOW)
    await asyncio.wait_for(worker.wait_until_settled(), timeout=1)

    assert (worker.model, worker.reason) == (None, SLOW)
    go_on.set()
    await eventually(lambda: model.freed == 1)
    assert (worker.model, worker.reason) == (None, SLOW)


async def test_closing_a_thread_that_is_stuck_fails_its_replies_in_time(worker: Worker, model: FakeModel) -> None:
    model.stuck.set()
    running = asyncio.create_task(reply(asked(worker, "a")))
    await eventually(lambda: worker.running == 1)
    await asyncio.to_thread(worker.close, wait_s=0.05)

    with pytest.raises(GenerationFailed):
        await asyncio.wait_for(running, timeout=1)
