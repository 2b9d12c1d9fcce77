"""What one person may leave unpaid is bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply, StopReason
from chatbill.domain.shared.errors import GenerationFailed, RateLimited
from tests.kit.chat import Scene, events_of, scene, taken
from tests.kit.waiting import eventually


async def bounded(*, replies: int = 2, tokens: int = 0, deadline_s: float = 5) -> Scene:
    return await scene(
        rate_limits=MovingWindowRateLimits(), unpaid_replies=replies, unpaid_tokens=tokens, deadline_s=deadline_s
    )


async def abandon(here: Scene, reply: Reply) -> None:
    here.engine.last.say("unseen ", tokens=3)
    await reply.abandon()


async def stop(_: Scene, reply: Reply) -> None:
    reply.stop()
    await reply.finished()


async def time_out(here: Scene, reply: Reply) -> None:
    here.engine.last.say("late ")
    await reply.finished()


async def write_nothing(here: Scene, reply: Reply) -> None:
    here.engine.last.end()
    await reply.finished()


async def fail(here: Scene, reply: Reply) -> None:
    here.engine.last.fail(GenerationFailed())
    await reply.finished()


async def shut_down(_: Scene, reply: Reply) -> None:
    reply.stop(StopReason.SHUTDOWN)
    await reply.finished()


async def complete(here: Scene, reply: Reply) -> None:
    here.engine.last.say("paid")
    here.engine.last.end()
    await reply.finished()


async def leave_after_a_word(here: Scene, reply: Reply) -> None:
    here.engine.last.say("paid")
    await taken(reply, 2)
    await reply.abandon()


End = Callable[[Scene, Reply], Awaitable[None]]


@pytest.mark.parametrize("end", [abandon, stop, time_out, write_nothing])
async def test_unpaid_replies_are_refused_beyond_their_number(end: End) -> None:
    here = await bounded(deadline_s=0.05 if end is time_out else 5)
    for _ in range(2):
        await end(here, await here.send())

    with pytest.raises(RateLimited, match="too_much_unpaid") as refused:
        await here.send()
    assert 3_500 < refused.value.retry_after_s <= 3_601
    assert (await here.wallet()).available == 100
    await here.assert_books_agree()


@pytest.mark.parametrize("end", [fail, shut_down, complete, leave_after_a_word])
async def test_paid_replies_and_failures_of_the_service_are_not_counted(end: End) -> None:
    here = await bounded()
    for _ in range(5):
        await end(here, await here.send())


async def test_tokens_that_were_written_but_not_paid_for_are_bounded() -> None:
    here = await bounded(replies=0, tokens=300)
    for tokens in (150, 101):
        reply = await here.send()
        here.engine.last.say("unseen", tokens=tokens)
        await eventually(lambda reply=reply: len(reply._written) > 0)
        await reply.abandon()

    with pytest.raises(RateLimited, match="too_much_unpaid"):
        await here.send()


async def test_one_person_s_unpaid_replies_do_not_count_for_another() -> None:
    here = await bounded(replies=1)
    await abandon(here, await here.send())
    bob = await here.world.person("bob")
    assert isinstance(
        await here.world.use_cases.chat.send_message(bob, Message(model="demo-mini", text="Hello")), Reply
    )


async def test_a_request_that_was_answered_is_replayed_at_the_limit() -> None:
    here = await bounded(replies=1)
    reply = await here.send(idempotency_key="once")
    here.engine.last.say("paid")
    here.engine.last.end()
    await reply.finished()
    await abandon(here, await here.send())

    message = Message(model="demo-mini", text="Hello", idempotency_key="once")
    replay = await here.world.use_cases.chat.send_message(here.alice, message)
    assert len(await events_of(replay)) > 1
