"""What every engine promises of places, of waiting, and of generations that are closed."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from chatbill.application.ports.engine import Engine, Generation, GenerationRequest
from chatbill.domain.shared.errors import Overloaded
from chatbill.domain.shared.ids import UserId
from tests.contract.engines import (
    LONG,
    MINI,
    PLACES,
    PRO,
    SHORT,
    asked,
    chunks_of,
    is_idle,
    reply,
    with_cached,
)


@with_cached
async def test_closed_before_it_streams_a_generation_writes_nothing(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG))
    await generation.close()

    assert [chunk async for chunk in generation.stream()] == []
    assert await is_idle(engine)


@with_cached
async def test_closed_while_it_streams_a_generation_stops(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG, max_tokens=150))
    written = 0
    async for chunk in generation.stream():
        written += chunk.tokens
        if written >= 3:
            await generation.close()

    assert written <= 5
    assert await is_idle(engine)


async def test_a_waiting_reader_wakes_when_its_generation_is_closed(engine: Engine) -> None:
    generation = await engine.prepare(asked("Hello there [[sleep:30]]", max_tokens=200))
    reading = asyncio.create_task(chunks_of(generation))
    await asyncio.sleep(0.01)
    await generation.close()

    await asyncio.wait_for(reading, timeout=5)
    assert await is_idle(engine)


@with_cached
async def test_a_generation_can_be_closed_again_and_after_its_end(engine: Engine) -> None:
    generation = await engine.prepare(asked(SHORT, max_tokens=3))
    await chunks_of(generation)

    await generation.close()
    await generation.close()
    assert await is_idle(engine)


@with_cached
async def test_a_reader_that_is_cancelled_gives_its_place_back(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG, max_tokens=150))
    reading = asyncio.create_task(chunks_of(generation))
    await asyncio.sleep(0.3)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading

    assert await is_idle(engine)


@with_cached
async def test_a_reader_that_leaves_early_gives_its_place_back(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG, max_tokens=150))
    stream = generation.stream()
    await anext(stream)
    await generation.close()

    assert await is_idle(engine)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_full_queue_is_refused_and_a_place_given_back_is_free(engine: Engine) -> None:
    taken = [await engine.prepare(asked(LONG)) for _ in range(PLACES)]
    with pytest.raises(Overloaded) as refused:
        await engine.prepare(asked(LONG))
    await taken.pop().close()
    taken.append(await engine.prepare(asked(LONG)))
    for generation in taken:
        await generation.close()

    assert refused.value.retry_after_s >= 1
    assert await is_idle(engine)


async def test_a_burst_takes_no_more_places_than_there_are(engine: Engine) -> None:
    results = await asyncio.gather(*(engine.prepare(asked(SHORT)) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(result, Overloaded) for result in results) == 20 - PLACES
    for result in results:
        if not isinstance(result, BaseException):
            await result.close()


async def test_waiting_requests_are_answered(engine: Engine) -> None:
    generations = [await engine.prepare(asked(LONG, max_tokens=5)) for _ in range(PLACES)]
    replies = await asyncio.gather(*(chunks_of(generation) for generation in generations))

    assert [sum(chunk.tokens for chunk in chunks) for chunks in replies] == [5] * PLACES
    assert await is_idle(engine)


async def test_a_second_owner_is_next_however_many_requests_of_the_first_wait(engine: Engine) -> None:
    requests = [asked(LONG, max_tokens=tokens) for tokens in (4, 12, 4)]
    requests.append(asked(LONG, max_tokens=4, owner=UserId("bob")))
    generations = [await engine.prepare(request) for request in requests]
    begun: list[UserId | None] = []

    async def read(generation: Generation, request: GenerationRequest) -> None:
        stream = generation.stream()
        await anext(stream)
        begun.append(request.owner)
        assert [chunk async for chunk in stream]

    await asyncio.gather(*map(read, generations, requests))

    assert begun.index(UserId("bob")) < PLACES - 1
    assert await is_idle(engine)


async def test_two_models_write_at_the_same_time(engine: Engine) -> None:
    generations = [await engine.prepare(asked(LONG, model=model, max_tokens=20)) for model in (MINI, PRO)]
    readings = [asyncio.create_task(chunks_of(generation)) for generation in generations]
    # Whichever is faster may be done long before the other has its first token.
    both_ran = False
    while not (both_ran or any(reading.done() for reading in readings)):
        both_ran = [engine.status()[model].running for model in (MINI, PRO)] == [1, 1]
        await asyncio.sleep(0.001)
    replies = await asyncio.gather(*readings)

    assert both_ran
    assert [sum(chunk.tokens for chunk in chunks) for chunks in replies] == [20, 20]


async def test_the_event_loop_is_not_blocked_while_a_reply_is_written(engine: Engine) -> None:
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = asyncio.create_task(tick())
    await reply(engine, asked(LONG, max_tokens=25))
    ticking.cancel()

    assert len(gaps) > 10
    # A busy machine may delay a tick; a model that ran on the loop would delay each by a token's time.
    assert sorted(gaps)[len(gaps) * 9 // 10] < 0.05
    assert max(gaps) < 0.5
