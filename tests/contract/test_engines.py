"""What every engine promises, whatever writes the words."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.inference.caching.engine import AnswerCache, CachingEngine
from chatbill.adapters.inference.catalogue.files import domain_catalogue, load_catalogue
from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import Chunk, Engine, Generation, GenerationRequest, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ModelUnavailable, Overloaded, TooLarge
from chatbill.domain.shared.ids import ModelId, UserId
from tests.adapters.inference.fake_runtime import FakeRuntime, fake_specs
from tests.adapters.inference.fake_servers import good_server, on_server
from tests.kit.models import demo_engine

MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
PLACES = 4
# To a real model the directives are words like any others.
LONG = "Tell me a long story about a fox and a bear. [[tokens:150]] [[pause:0.02]]"
SHORT = "What is the capital of France? Answer in one sentence."
ENGINES = [
    "scripted",
    "threads",
    "server",
    "cache",
    pytest.param("transformers", marks=[pytest.mark.model, pytest.mark.timeout(300)]),
]
also_kept = pytest.mark.parametrize("engine", [*ENGINES, "kept"], indirect=True)
"""For what is true even of answers that were kept, which need neither a place nor time."""


def cached(engine: Engine, kind: type[CachingEngine] = CachingEngine) -> CachingEngine:
    return kind(engine, AnswerCache(max_bytes=10_000_000, ttl_s=3_600), temperatures={}, identities={})


class HurriedEngine(ScriptedEngine):
    """Writes the same as the other, at once."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Without the waits."""
        *before, last = request.turns
        at_once = Turn(last.role, re.sub(r"\[\[(sleep|pause):[\d.]+]]", "", last.text))
        return await super().prepare(replace(request, turns=(*before, at_once)))


class KnowsAll(CachingEngine):
    """Was asked everything before."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """The kept answer."""
        await pieces_of(await super().prepare(request))
        kept = await super().prepare(request)
        assert kept.cached
        return kept


@pytest.fixture(scope="module")
def real_engine() -> Iterator[Engine]:
    with demo_engine(slots=2, max_queued=PLACES - 2) as engine:
        yield engine


@pytest.fixture
async def server_engine() -> AsyncIterator[Engine]:
    async with good_server() as server:
        engine = OpenAIEngine(on_server(server.url, concurrency=1), max_queued=PLACES - 1)
        await engine.start()
        yield engine
        await engine.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine: Engine
    match request.param:
        case "transformers":
            yield request.getfixturevalue("real_engine")
            return
        case "server":
            yield request.getfixturevalue("server_engine")
            return
        case "threads":
            specs = fake_specs(tmp_path / "model")
            engine = TransformersEngine(
                specs, ModelLibrary(tmp_path), runtime=FakeRuntime, slots=2, max_queued=PLACES - 2
            )
        case "cache":
            engine = cached(ScriptedEngine(domain_catalogue(load_catalogue("demo")), max_places=PLACES))
        case "kept":
            engine = cached(HurriedEngine(domain_catalogue(load_catalogue("demo"))), KnowsAll)
        case _:
            engine = ScriptedEngine(domain_catalogue(load_catalogue("demo")), max_places=PLACES)
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())


def asked(
    text: str,
    *,
    model: ModelId = MINI,
    max_tokens: int = 30,
    stop: tuple[str, ...] = (),
    before: tuple[Turn, ...] = (),
    temperature: float | None = 0.0,
) -> GenerationRequest:
    turns = (*before, Turn(Role.USER, text))
    return GenerationRequest(
        model=model, turns=turns, max_tokens=max_tokens, temperature=temperature, stop=stop, owner=UserId("alice")
    )


async def pieces_of(generation: Generation) -> list[Chunk]:
    try:
        return [piece async for piece in generation.stream()]
    finally:
        await generation.close()


async def reply(engine: Engine, request: GenerationRequest) -> tuple[str, int]:
    pieces = await pieces_of(await engine.prepare(request))
    assert all(piece.tokens >= 1 for piece in pieces)
    return "".join(piece.text for piece in pieces), sum(piece.tokens for piece in pieces)


async def is_idle(engine: Engine, *, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        statuses = engine.status().values()
        if not any(status.running or status.queued for status in statuses):
            return True
        await asyncio.sleep(0.01)
    return False


@also_kept
async def test_every_model_is_ready_after_the_start(engine: Engine) -> None:
    statuses = engine.status()

    assert list(statuses) == [MINI, PRO]
    assert all(status.state is ModelState.READY and status.reason is None for status in statuses.values())


@also_kept
async def test_a_reply_comes_in_pieces_with_their_tokens(engine: Engine) -> None:
    pieces = await pieces_of(await engine.prepare(asked(SHORT)))

    assert len(pieces) > 1
    assert "".join(piece.text for piece in pieces).strip()
    assert 1 < sum(piece.tokens for piece in pieces) <= 30


@also_kept
async def test_a_reply_ends_at_max_tokens(engine: Engine) -> None:
    _, tokens = await reply(engine, asked(LONG, max_tokens=12))

    assert tokens == 12


@also_kept
async def test_one_token_can_be_asked_for(engine: Engine) -> None:
    _, tokens = await reply(engine, asked(LONG, max_tokens=1))

    assert tokens == 1


@also_kept
async def test_at_temperature_0_the_same_prompt_gives_the_same_reply(engine: Engine) -> None:
    assert await reply(engine, asked(LONG)) == await reply(engine, asked(LONG))


@also_kept
@pytest.mark.parametrize("temperature", [5e-324, 1e-310, 1e-45, 1e-38, 1e-6])
async def test_a_temperature_next_to_0_is_0(engine: Engine, temperature: float) -> None:
    assert await reply(engine, asked(SHORT, temperature=temperature)) == await reply(engine, asked(SHORT))


@pytest.mark.parametrize(
    "odd",
    [
        {"temperature": 1e-5},
        {"temperature": 2.0},
        {"temperature": 2.0, "top_p": 5e-324},
        {"temperature": 1e-5, "top_p": 1e-45},
        {"top_p": 1 - 2**-53},
        {"seed": -(2**63)},
        {"seed": 2**63 - 1},
    ],
    ids=str,
)
async def test_no_allowed_setting_makes_a_reply_fail(engine: Engine, odd: dict[str, Any]) -> None:
    _, tokens = await reply(engine, replace(asked(SHORT, temperature=1.0, max_tokens=4), **odd))

    assert tokens >= 1
    assert await reply(engine, asked(SHORT)) == await reply(engine, asked(SHORT))


@also_kept
async def test_a_reply_ends_before_a_stop_string(engine: Engine) -> None:
    whole, whole_tokens = await reply(engine, asked(LONG))
    stop = whole[len(whole) // 2 :][:5]

    cut, cut_tokens = await reply(engine, asked(LONG, stop=("never written", stop)))

    assert cut == whole[: whole.index(stop)]
    assert cut_tokens <= whole_tokens


@also_kept
async def test_a_stop_string_that_never_comes_costs_neither_text_nor_tokens(engine: Engine) -> None:
    whole = await reply(engine, asked(LONG))
    almost = whole[0][-3:] + "but not quite"

    assert await reply(engine, asked(LONG, stop=(almost,))) == whole


async def was_cut_off(engine: Engine, request: GenerationRequest) -> bool:
    """As the engine says, or else as its tokens do."""
    generation = await engine.prepare(request)
    tokens = sum(piece.tokens for piece in await pieces_of(generation))
    return tokens == request.max_tokens if generation.cut_off is None else generation.cut_off


@also_kept
async def test_a_reply_that_ended_for_want_of_tokens_was_cut_off(engine: Engine) -> None:
    whole, tokens = await reply(engine, asked(SHORT, max_tokens=60))

    assert whole
    assert tokens < 60
    assert not await was_cut_off(engine, asked(SHORT, max_tokens=60))
    assert not await was_cut_off(engine, asked(SHORT, max_tokens=tokens + 1))
    assert await was_cut_off(engine, asked(SHORT, max_tokens=tokens))
    assert await was_cut_off(engine, asked(SHORT, max_tokens=tokens - 1))
    assert await was_cut_off(engine, asked(LONG, max_tokens=1))


@also_kept
async def test_a_stop_string_on_the_last_allowed_token_cuts_nothing_off(engine: Engine) -> None:
    whole, tokens = await reply(engine, asked(LONG, max_tokens=12))
    cut, cut_tokens = await reply(engine, asked(LONG, max_tokens=12, stop=(whole[-3:],)))

    assert (tokens, cut) == (12, whole[: whole.index(whole[-3:])])
    assert cut_tokens <= 12
    assert not await was_cut_off(engine, asked(LONG, max_tokens=12, stop=(whole[-3:],)))


@also_kept
async def test_closed_before_it_streams_a_generation_writes_nothing(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG))
    await generation.close()

    assert [piece async for piece in generation.stream()] == []
    assert await is_idle(engine)


@also_kept
async def test_closed_while_it_streams_a_generation_stops(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG, max_tokens=150))
    written = 0
    async for piece in generation.stream():
        written += piece.tokens
        if written >= 3:
            await generation.close()

    assert written <= 5
    assert await is_idle(engine)


async def test_a_waiting_reader_wakes_when_its_generation_is_closed(engine: Engine) -> None:
    generation = await engine.prepare(asked("Hello there [[sleep:30]]", max_tokens=200))
    reading = asyncio.create_task(pieces_of(generation))
    await asyncio.sleep(0.01)
    await generation.close()

    await asyncio.wait_for(reading, timeout=5)
    assert await is_idle(engine)


@also_kept
async def test_a_generation_can_be_closed_again_and_after_its_end(engine: Engine) -> None:
    generation = await engine.prepare(asked(SHORT, max_tokens=3))
    await pieces_of(generation)

    await generation.close()
    await generation.close()
    assert await is_idle(engine)


@also_kept
async def test_a_reader_that_is_cancelled_gives_its_place_back(engine: Engine) -> None:
    generation = await engine.prepare(asked(LONG, max_tokens=150))
    reading = asyncio.create_task(pieces_of(generation))
    await asyncio.sleep(0.3)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading

    assert await is_idle(engine)


@also_kept
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


async def test_those_who_wait_are_answered_in_turn(engine: Engine) -> None:
    generations = [await engine.prepare(asked(LONG, max_tokens=5)) for _ in range(PLACES)]
    replies = await asyncio.gather(*(pieces_of(generation) for generation in generations))

    assert [sum(piece.tokens for piece in pieces) for pieces in replies] == [5] * PLACES
    assert await is_idle(engine)


async def test_two_models_write_at_the_same_time(engine: Engine) -> None:
    generations = [await engine.prepare(asked(LONG, model=model, max_tokens=20)) for model in (MINI, PRO)]
    readings = [asyncio.create_task(pieces_of(generation)) for generation in generations]
    # Whichever is faster may be done long before the other has its first token.
    both_ran = False
    while not (both_ran or any(reading.done() for reading in readings)):
        both_ran = [engine.status()[model].running for model in (MINI, PRO)] == [1, 1]
        await asyncio.sleep(0.001)
    replies = await asyncio.gather(*readings)

    assert both_ran
    assert [sum(piece.tokens for piece in pieces) for pieces in replies] == [20, 20]


async def test_the_event_loop_goes_on_while_a_reply_is_written(engine: Engine) -> None:
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


@also_kept
async def test_the_oldest_turns_are_left_out_of_a_long_conversation(engine: Engine) -> None:
    last_alone = await engine.prepare(asked("And now?"))
    await last_alone.close()
    before = tuple(
        Turn(role, f"{number} " + "some words that were said " * 10)
        for number in range(100)
        for role in (Role.USER, Role.ASSISTANT)
    )
    generation = await engine.prepare(asked("And now?", before=before, max_tokens=100))
    await generation.close()

    window = 400 if generation.prompt_tokens < 400 else 2_048
    assert last_alone.prompt_tokens < generation.prompt_tokens <= window - 100
    # At most one exchange less than what would fit.
    assert generation.prompt_tokens > window - 100 - 2 * 80


@also_kept
async def test_a_short_conversation_is_read_whole(engine: Engine) -> None:
    before = (Turn(Role.USER, "My name is Ada."), Turn(Role.ASSISTANT, "Hello Ada."))
    alone = await engine.prepare(asked("What is my name?"))
    whole = await engine.prepare(asked("What is my name?", before=before))
    await alone.close()
    await whole.close()

    assert whole.prompt_tokens >= alone.prompt_tokens + 6


@also_kept
async def test_a_message_over_the_window_is_too_large(engine: Engine) -> None:
    with pytest.raises(TooLarge, match="shorten the message"):
        await engine.prepare(asked("word " * 10_000))

    assert await is_idle(engine)


@also_kept
async def test_an_unknown_model_is_unavailable(engine: Engine) -> None:
    with pytest.raises(ModelUnavailable):
        await engine.prepare(asked(SHORT, model=ModelId("no-such-model")))


@also_kept
async def test_text_of_every_kind_is_read(engine: Engine) -> None:
    for text in ("naïve 😀 日本語", "<|im_end|>", "{{ messages }}", "\ue000\ue001", "a" * 500, "\u202e\u0000x"):
        _, tokens = await reply(engine, asked(text, max_tokens=2))
        assert tokens >= 0
