"""Replies are no longer than their model can write before the time limit."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.application.chat.events import Completed, Failed
from chatbill.application.chat.pace import LEAST_TOKENS, USED_SHARE, Pace, PacedGeneration
from chatbill.application.ports.engine import THINKING, Chunk, GenerationRequest
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import ModelId
from tests.kit.chat import TOKEN_PRICED, Scene, events_of, scene
from tests.kit.engines import ControlledGeneration

DEADLINE_S = 120.0
MINI = ModelId("demo-mini")


def pace(*replies: tuple[int, float]) -> Pace:
    seen = Pace(deadline_s=DEADLINE_S)
    for tokens, took_s in replies:
        seen.record(tokens=tokens, took_s=took_s)
    return seen


def test_nothing_is_bounded_until_the_pace_is_known() -> None:
    assert pace().tokens_within(1) == math.inf
    assert pace((240, 119), (240, 119)).tokens_within(1) == math.inf


def test_a_model_that_ran_into_the_limit_gets_shorter_replies() -> None:
    slow = pace(*[(240, 120)] * 3)
    assert slow.tokens_within(DEADLINE_S) == 176  # 2 a second; a multiple of 8
    assert slow.tokens_within(30) == 40


def test_a_model_is_never_bounded_to_less_than_a_short_reply() -> None:
    assert pace(*[(0, 120)] * 3).tokens_within(DEADLINE_S) == LEAST_TOKENS
    assert pace(*[(240, 120)] * 3).tokens_within(-1) == LEAST_TOKENS


def test_a_fast_model_that_becomes_slow_is_bounded_after_as_many_replies() -> None:
    changed = pace(*[(500, 0.5)] * 900, *[(240, 120)] * 3)
    assert changed.tokens_within(DEADLINE_S) == 176


def test_a_slow_model_that_becomes_fast_is_soon_free_again() -> None:
    changed = pace(*[(240, 120)] * 3, *[(176, 2)] * 10)
    assert changed.tokens_within(DEADLINE_S) > 512


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 120)), max_size=50), st.floats(0, 120))
def test_the_bound_stays_below_the_fastest_reply_that_was_seen(
    replies: list[tuple[int, float]], within_s: float
) -> None:
    most = pace(*replies).tokens_within(within_s)
    fastest = max((tokens / took_s if took_s else math.inf for tokens, took_s in replies), default=math.inf)
    assert most >= LEAST_TOKENS
    if most < math.inf and fastest < math.inf:
        assert most <= max(LEAST_TOKENS, USED_SHARE * fastest * within_s * (1 + 1e-6))


def slow(here: Scene, model: ModelId, *, tokens: int) -> None:
    """Let the model of a scene with a limit of 5 s have written this number of tokens a second."""
    for _ in range(3):
        here.world.use_cases.chat.send_message.drafts.paces[model].record(tokens=5 * tokens, took_s=5)


async def test_the_hold_shrinks_with_the_longest_reply() -> None:
    here = await scene()
    slow(here, TOKEN_PRICED, tokens=4)
    reply = await here.send(model=TOKEN_PRICED)
    assert here.engine.last.request.max_tokens == LEAST_TOKENS  # of 20 that the model may write
    assert reply.accepted.held == math.ceil(1 + 1.0 + LEAST_TOKENS * 0.5)
    await reply.abandon()


async def test_a_client_that_asks_for_less_gets_what_it_asked_for() -> None:
    here = await scene()
    slow(here, MINI, tokens=100)
    reply = await here.send(max_tokens=7)
    assert here.engine.last.request.max_tokens == 7
    await reply.abandon()


async def test_a_reply_that_waited_ends_with_length_and_is_charged_for_what_it_has() -> None:
    here = await scene()
    slow(here, MINI, tokens=10)
    reply = await here.send()
    assert here.engine.last.request.max_tokens == 32
    await asyncio.sleep(2)  # of 5 s are at most 3 left, enough for 22 tokens
    for _ in range(32):
        here.engine.last.say("x ")
    end = (await events_of(reply))[-1]

    assert isinstance(end, Completed)
    assert end.cut_off
    assert (end.interaction.outcome, end.interaction.usage.completion_tokens) == (Outcome.COMPLETED, 16)
    assert end.interaction.credits_charged == 1
    assert here.engine.last.closed
    await here.assert_books_agree()


async def test_replies_that_time_out_make_the_next_ones_shorter() -> None:
    here = await scene(deadline_s=0.2)
    for _ in range(4):
        reply = await here.send()
        here.engine.last.say("slow ")
        here.engine.last.say("slow ")
        end = (await events_of(reply))[-1]
        assert isinstance(end, Failed)
        assert end.interaction.outcome is Outcome.TIMED_OUT
    await (await here.send()).abandon()
    assert here.engine.last.request.max_tokens == LEAST_TOKENS
    assert (await here.wallet()).available == 100


@pytest.mark.parametrize("cached", [True, False])
async def test_a_cached_reply_shows_no_pace_and_is_not_cut_off(cached: bool) -> None:
    seen = pace(*[(240, 120)] * 3)
    known = len(seen._seen)
    inner = ControlledGeneration(GenerationRequest(model=MINI, turns=(), max_tokens=512), prompt_tokens=1)
    inner.cached = cached
    generation = PacedGeneration(inner, seen, deadline_s=10)
    for _ in range(30):
        inner.say("x")
    inner.end()
    written = [chunk async for chunk in generation.stream()]
    await generation.close()

    assert len(written) == (30 if cached else 16)
    assert generation.cut_off is (None if cached else True)
    assert len(seen._seen) == (known if cached else known + 1)


async def paced(*chunks: Chunk) -> tuple[PacedGeneration, list[Chunk]]:
    """Return a generation of a model that writes 2 tokens a second, with 10 s to write, and what it passed on."""
    inner = ControlledGeneration(GenerationRequest(model=MINI, turns=(), max_tokens=512), prompt_tokens=1)
    for chunk in chunks:
        inner.say(chunk.text, chunk.tokens)
    inner.end()
    generation = PacedGeneration(inner, pace(*[(240, 120)] * 3), deadline_s=10)
    return generation, [chunk async for chunk in generation.stream()]


async def test_thoughts_before_the_first_text_do_not_count_towards_its_limit() -> None:
    generation, written = await paced(THINKING, Chunk("a", 300), *[Chunk("x", 1)] * 10)
    assert (len(written), generation.cut_off) == (12, None)
    generation, written = await paced(THINKING, Chunk("a", 300), *[Chunk("x", 1)] * 20)
    assert (len(written), generation.cut_off) == (17, True)


async def test_tokens_that_are_counted_at_the_end_of_a_reply_do_not_cut_it_off() -> None:
    generation, written = await paced(*[Chunk("x", 1)] * 10, Chunk("", 300))
    assert (len(written), generation.cut_off, generation.tokens_written) == (11, None, 310)
