"""Repeated prompts: which replies are cached, and for which requests."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Chunk, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable
from chatbill.domain.shared.ids import UserId
from tests.adapters.inference.caching.scene import (
    ALICE,
    BOB,
    MB,
    MINI,
    PRO,
    ManualTime,
    RecordingEngine,
    asked,
    caching,
    written,
)
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE


async def test_a_repeated_prompt_is_answered_from_the_cache_chunk_by_chunk() -> None:
    inner = RecordingEngine()
    engine = caching(inner)
    first, first_cached = await written(engine, asked())
    generation = await engine.prepare(asked())
    second = [chunk async for chunk in generation.stream()]

    assert (first_cached, generation.cached) == (False, True)
    assert first == second
    assert len(second) == 5
    assert generation.prompt_tokens == 5
    assert len(inner.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model": PRO},
        {"turns": (Turn(Role.USER, "one two four"),)},
        {"turns": (Turn(Role.USER, "a"), Turn(Role.ASSISTANT, "b"), Turn(Role.USER, "one two three"))},
        {"max_tokens": 19},
        {"temperature": 0.5, "seed": 1},
        {"top_p": 0.9},
        {"seed": 1},
        {"stop": ("x",)},
        {"owner": BOB},
    ],
    ids="+".join,
)
async def test_a_change_of_any_setting_makes_it_another_prompt(change: dict[str, Any]) -> None:
    inner = RecordingEngine()
    engine = caching(inner)
    await written(engine, asked())

    _, cached = await written(engine, replace(asked(), **change))
    _, repeated = await written(engine, replace(asked(), **change))

    assert (cached, repeated, len(inner.asked)) == (False, True, 2)


async def test_the_reply_to_a_temporary_message_is_neither_cached_nor_taken_from_the_cache() -> None:
    inner = RecordingEngine()
    engine = caching(inner)
    await written(engine, asked())
    temporary = replace(asked(), temporary=True)
    assert [(await written(engine, temporary))[1] for _ in range(2)] == [False, False]
    assert len(inner.asked) == 3


async def test_a_model_with_other_weights_is_asked_again() -> None:
    inner, cache = RecordingEngine(), ReplyCache(max_bytes=MB, ttl_s=60)
    for identity in ("revision 1", "revision 2"):
        engine = CachingEngine(inner, cache, temperatures={}, identities={MINI: identity})
        assert not (await written(engine, asked()))[1]


@pytest.mark.parametrize(
    ("request_fields", "own", "kept"),
    [
        ({"temperature": 0.0}, None, True),
        ({"temperature": 0.7}, None, False),
        ({"temperature": 0.7, "seed": 3}, None, True),
        ({"temperature": None}, None, False),
        ({"temperature": None}, 0.0, True),
        ({"temperature": None}, 1.0, False),
        ({"temperature": 0.7}, 0.0, False),
        ({"temperature": 0.0, "owner": None}, None, False),
    ],
)
async def test_only_replies_without_randomness_are_cached(
    request_fields: dict[str, Any], own: float | None, kept: bool
) -> None:
    engine = caching(RecordingEngine(), temperatures={MINI: own})
    request = replace(asked(), **request_fields)
    await written(engine, request)

    assert (await written(engine, request))[1] is kept


async def test_a_probe_is_never_answered_from_the_cache_even_when_replies_are_shared() -> None:
    engine = caching(RecordingEngine(), shared=True)
    await written(engine, asked(owner=ALICE))

    assert (await written(engine, asked(owner=BOB)))[1]
    assert not (await written(engine, asked(owner=None)))[1]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([ALICE, BOB, UserId("carol")]))))
def test_no_user_gets_the_reply_of_another(prompts: list[tuple[str, UserId]]) -> None:
    async def run() -> None:
        engine = caching(RecordingEngine(), max_bytes=4_000)
        for text, owner in prompts:
            chunks, _ = await written(engine, asked(text, owner=owner))
            assert "".join(chunk.text for chunk in chunks) == f"{text} for {owner}"

    asyncio.run(run())


async def test_a_reply_expires() -> None:
    time = ManualTime()
    engine = caching(RecordingEngine(), ttl_s=60, now=time)
    await written(engine, asked())
    time.now = 59.9
    assert (await written(engine, asked()))[1]
    time.now = 60.1
    assert not (await written(engine, asked()))[1]


@pytest.mark.parametrize("text", ["one [[fail:after:1]]", "one [[fail:before]]", "one [[oom]]"])
async def test_a_failed_reply_is_not_cached(text: str) -> None:
    inner = RecordingEngine()
    engine = caching(inner)
    for _ in range(2):
        with pytest.raises(GenerationFailed):
            await written(engine, asked(text))

    assert len(inner.asked) == 2


async def test_an_empty_reply_is_not_cached() -> None:
    engine = ControlledEngine(CATALOGUE)
    cached = caching(engine)
    for _ in range(2):
        generation = await cached.prepare(asked())
        assert not generation.cached
        engine.last.say("")
        engine.last.end()
        assert [chunk async for chunk in generation.stream()] == [Chunk("", 1)]


async def test_a_stopped_reply_is_not_cached() -> None:
    inner = RecordingEngine()
    engine = caching(inner)
    generation = await engine.prepare(asked())
    async for _ in generation.stream():
        await generation.close()
    cancelled = await engine.prepare(asked("one two [[pause:5]]"))
    reading = asyncio.ensure_future(anext(cancelled.stream()))
    await asyncio.sleep(0.01)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    await cancelled.close()

    assert not (await written(engine, asked()))[1]
    assert all(status.running == 0 for status in engine.status().values())


async def test_a_cached_reply_can_be_stopped() -> None:
    engine = caching(RecordingEngine())
    await written(engine, asked())
    generation = await engine.prepare(asked())
    chunks = []
    async for chunk in generation.stream():
        chunks.append(chunk)
        await generation.close()

    assert len(chunks) == 1


async def test_cached_replies_of_an_unavailable_model_are_not_returned() -> None:
    inner = ScriptedEngine(CATALOGUE)
    engine = caching(inner)
    await written(engine, asked())
    await inner.close()

    with pytest.raises(ModelUnavailable):
        await engine.prepare(asked())


async def test_a_cached_reply_needs_no_place_in_the_queue() -> None:
    engine = caching(ScriptedEngine(CATALOGUE, slots=1))
    await written(engine, asked())
    taken = await engine.prepare(asked("another"))

    assert (await written(engine, asked()))[1]
    await taken.close()


async def test_the_counts_of_a_server_are_charged_again() -> None:
    inner = ControlledEngine(CATALOGUE)
    engine = caching(inner)
    generation = await engine.prepare(asked())
    inner.last.say("one two", tokens=2)
    inner.last.end()
    inner.last.prompt_tokens, inner.last.completion_tokens = 4, 1
    _ = [chunk async for chunk in generation.stream()]

    repeated = await engine.prepare(asked())
    assert repeated.cached
    assert (repeated.prompt_tokens, repeated.completion_tokens) == (4, 1)


async def test_the_engine_behind_the_cache_is_started_asked_and_closed() -> None:
    inner = ScriptedEngine(CATALOGUE)
    engine = caching(inner)
    await engine.start()
    ready = engine.status()[MINI]
    await engine.close()

    assert engine.name == "scripted"
    assert (ready.state, ready.healthy, ready.running) == (ModelState.READY, True, 0)
    assert engine.status()[MINI].state is ModelState.UNAVAILABLE
