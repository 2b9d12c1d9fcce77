"""The end of a reply: completed, failed, stopped or timed out. Each is settled once."""

from __future__ import annotations

import asyncio

import pytest

from chatbill.application.chat.events import Completed, Delta, End, Failed, Stopped
from chatbill.application.chat.replies import StopReason
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, OutOfMemory
from tests.kit.chat import TOKEN_PRICED, events_of, scene, taken


@pytest.mark.parametrize(
    ("error", "code"),
    [(OutOfMemory(), "generation_failed"), (RuntimeError("secret internals"), "generation_failed")],
)
@pytest.mark.parametrize("chunks", [0, 3])
async def test_a_failure_is_never_charged_whatever_was_delivered(error: Exception, code: str, chunks: int) -> None:
    here = await scene()
    reply = await here.send()
    for _ in range(chunks):
        here.engine.last.say("word ")
    here.engine.last.fail(error)
    end = (await events_of(reply))[-1]
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.outcome, end.interaction.credits_charged) == (code, Outcome.FAILED, 0)
    assert "secret" not in str(end.description)
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


async def test_a_passed_deadline_is_never_charged_and_stops_the_computing() -> None:
    here = await scene(deadline_s=0.05)
    reply = await here.send()
    here.engine.last.say("too")
    end = (await events_of(reply))[-1]
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.outcome, end.interaction.reply) == (
        "generation_timeout",
        Outcome.TIMED_OUT,
        "too",
    )
    assert here.engine.last.closed
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


@pytest.mark.parametrize("chunks", [[], [("", 1)], [("", 0), ("", 7)]])
async def test_a_reply_without_a_word_is_a_failure_and_free(chunks: list[tuple[str, int]]) -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    for text, tokens in chunks:
        here.engine.last.say(text, tokens=tokens)
    here.engine.last.completion_tokens = 7
    here.engine.last.end()
    end = await reply.finished()
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
    assert end.description == Description("empty_reply")
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


@pytest.mark.parametrize(("text", "stop"), [("", ("END",)), (" ", ())])
async def test_a_reply_that_was_to_end_so_or_has_a_blank_is_whole(text: str, stop: tuple[str, ...]) -> None:
    here = await scene()
    reply = await here.send(stop=stop)
    here.engine.last.say(text)
    here.engine.last.end()
    end = await reply.finished()
    assert isinstance(end, Completed)
    assert end.interaction.credits_charged == 1


async def test_a_first_token_that_does_not_come_in_time_ends_the_reply_unpaid() -> None:
    here = await scene(first_token_s=0.05, deadline_s=30)
    reply = await here.send()
    end = (await events_of(reply))[-1]
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.outcome) == ("generation_timeout", Outcome.TIMED_OUT)
    assert end.description == Description.of("generation_timeout", what="first_word", after_s=0.05)
    assert here.engine.last.closed
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


async def test_a_model_that_is_thinking_has_begun_and_costs_nothing_until_it_speaks() -> None:
    here = await scene(first_token_s=0.05, deadline_s=0.4)
    speaks, stopped, late = [await here.send(model=TOKEN_PRICED) for _ in range(3)]
    for generation in here.engine.generations:
        generation.say("", tokens=0)
    await asyncio.sleep(0.1)
    await here.world.use_cases.chat.stop_message(here.alice, stopped.accepted.interaction_id)
    here.engine.generations[0].say("one")
    here.engine.generations[0].end()

    events = await events_of(speaks)
    assert events[1] == Delta("one", 1), "thoughts are not part of a reply"
    assert isinstance(events[-1], Completed)
    assert (await stopped.finished()).interaction.credits_charged == 0
    end = await late.finished()
    assert isinstance(end, Failed)
    assert end.description == Description.of("generation_timeout", what="reply", after_s=0.4)
    await here.assert_books_agree()


async def test_once_the_first_token_is_there_only_the_deadline_counts() -> None:
    here = await scene(first_token_s=0.05, deadline_s=0.25)
    first, second = await here.send(), await here.send()
    for generation in here.engine.generations:
        generation.say("in time")
    await asyncio.sleep(0.1)
    here.engine.generations[0].end()
    assert isinstance((await events_of(first))[-1], Completed)
    end = (await events_of(second))[-1]
    assert isinstance(end, Failed)
    assert end.description == Description.of("generation_timeout", what="reply", after_s=0.25)
    await here.assert_books_agree()


async def test_a_stop_before_the_first_token_costs_nothing() -> None:
    here = await scene()
    reply = await here.send()
    await here.world.use_cases.chat.stop_message(here.alice, reply.accepted.interaction_id)
    end = (await events_of(reply))[-1]
    assert isinstance(end, Stopped)
    assert end.interaction.credits_charged == 0
    assert here.engine.last.closed
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


async def test_a_stop_after_the_first_token_costs_what_was_delivered() -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    here.engine.last.say("one")
    here.engine.last.say(" two")
    stream = aiter(reply)
    assert [await anext(stream) for _ in range(3)][1:] == [Delta("one", 1), Delta(" two", 1)]
    await here.world.use_cases.chat.stop_message(here.alice, reply.accepted.interaction_id)
    end = await anext(stream)
    assert isinstance(end, Stopped)
    assert (end.interaction.reply, end.interaction.usage.completion_tokens) == ("one two", 2)
    # 1 a reply, and 10 x 100 + 2 x 500 thousandths of credits for tokens.
    assert end.interaction.credits_charged == 3
    assert (await here.wallet()).posted == 97
    await here.assert_books_agree()


async def test_only_a_whole_reply_has_a_count_of_its_own() -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    here.engine.last.say("one")
    here.engine.last.completion_tokens = 20
    assert len(await taken(reply, 2)) == 2
    reply.stop()
    end = await reply.finished()
    assert end.interaction.usage.completion_tokens == 1


async def test_a_lost_connection_costs_what_was_taken_not_what_was_written() -> None:
    here = await scene()
    reply = await here.send()
    for word in ("one", " two", " three"):
        here.engine.last.say(word)
    await taken(reply, 2)
    await reply.abandon()
    end = await reply.finished()
    assert isinstance(end, Stopped)
    assert (end.interaction.reply, end.interaction.usage.completion_tokens) == ("one", 1)
    assert end.interaction.credits_charged == 1
    assert here.engine.last.closed


async def test_a_connection_lost_before_anything_was_taken_costs_nothing() -> None:
    here = await scene()
    reply = await here.send()
    here.engine.last.say("unseen")
    await here.engine.last.streaming.wait()
    await reply.abandon()
    end = await reply.finished()
    assert isinstance(end, Stopped)
    assert (end.interaction.reply, end.interaction.credits_charged) == ("", 0)
    assert (await here.wallet()).available == 100


async def test_a_reply_is_settled_although_its_watcher_is_cancelled() -> None:
    here = await scene()
    reply = await here.send()
    watcher = asyncio.create_task(events_of(reply))
    here.engine.last.say("word")
    await asyncio.sleep(0.01)
    watcher.cancel()
    here.engine.last.end()
    assert isinstance(await reply.finished(), Completed)
    assert (await here.wallet()).posted == 99


async def test_a_stopping_service_lets_replies_finish_and_ends_the_rest_unpaid() -> None:
    here = await scene()
    quick, slow = await here.send(), await here.send()
    first, second = here.engine.generations
    second.say("half")
    draining = asyncio.create_task(here.world.use_cases.chat.replies.drain(grace_s=0.2))
    await asyncio.sleep(0)
    first.say("whole")
    first.end()
    await draining
    assert isinstance(await quick.finished(), Completed)
    end: End = await slow.finished()
    assert isinstance(end, Failed)
    assert (end.interaction.outcome, end.interaction.credits_charged) == (Outcome.INTERRUPTED, 0)
    assert len(here.world.use_cases.chat.replies) == 0
    with pytest.raises(ModelUnavailable):
        await here.send()
    await here.assert_books_agree()


async def test_a_hold_that_outlives_its_reply_is_swept_and_the_late_reply_is_free() -> None:
    here = await scene()
    reply = await here.send()
    late = here.engine.last
    here.world.clock.advance(9)
    assert await here.world.use_cases.maintenance.expire_holds() == 0
    here.world.clock.advance(1)
    assert await here.world.use_cases.maintenance.expire_holds() == 1
    await here.send()
    assert await here.world.use_cases.maintenance.expire_holds(even_early=True) == 1
    assert (await here.wallet()).available == 100
    late.say("late")
    late.end()
    end = await reply.finished()
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.outcome) == ("interrupted", Outcome.INTERRUPTED)
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


async def test_capture_sweep_and_stop_racing_have_one_winner() -> None:
    for _ in range(50):
        here = await scene()
        reply = await here.send()
        here.engine.last.say("word")
        here.world.clock.advance(10)
        here.engine.last.end()
        reply.stop(StopReason.PERSON)
        end, *_ = await asyncio.gather(
            reply.finished(), *(here.world.use_cases.maintenance.expire_holds() for _ in range(3))
        )
        # Whoever comes second reports what the first one recorded.
        assert getattr(end, "code", "interrupted") == "interrupted"
        wallet = await here.wallet()
        assert (wallet.posted, wallet.held) in {(100, 0), (99, 0)}
        await here.assert_books_agree()
