"""What one person may store with replies that are not charged is bounded."""

from __future__ import annotations

import asyncio

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.domain.shared.errors import GenerationFailed, InsufficientCredits, RateLimited
from tests.kit.chat import Scene, scene

EMOJI = "\N{GRINNING FACE}" * 2_000
"""A text of 8 KiB."""


async def bounded(*, kib: int = 40, credits_: int = 100) -> Scene:
    return await scene(rate_limits=MovingWindowRateLimits(), unpaid_kib=kib, welcome_credits=credits_)


async def leave(here: Scene, reply: Reply) -> None:
    await reply.abandon()


async def fail(here: Scene, reply: Reply) -> None:
    here.engine.last.fail(GenerationFailed())
    await reply.finished()


async def complete(here: Scene, reply: Reply) -> None:
    here.engine.last.say("paid")
    here.engine.last.end()
    await reply.finished()


@pytest.mark.parametrize("end", [leave, fail])
async def test_messages_whose_replies_are_not_charged_are_bounded_by_their_bytes(end: object) -> None:
    here = await bounded()
    for _ in range(5):
        await end(here, await here.send(EMOJI))  # type: ignore[operator]
    with pytest.raises(RateLimited) as refused:
        await here.send("Hello")
    assert refused.value.description.code == "too_much_text_unpaid"
    assert 3_500 < refused.value.retry_after_s <= 3_601
    await here.assert_books_agree()


async def test_paid_messages_are_not_bounded() -> None:
    here = await bounded()
    for _ in range(20):
        await complete(here, await here.send(EMOJI))
    await leave(here, await here.send(EMOJI))


async def test_messages_that_are_being_answered_count_until_they_end() -> None:
    here = await bounded()
    running = [await here.send(EMOJI) for _ in range(5)]
    with pytest.raises(RateLimited, match="too_much_text_unpaid") as refused:
        await here.send(EMOJI)
    assert refused.value.retry_after_s < 60
    await complete(here, running.pop())
    running.append(await here.send(EMOJI))
    await asyncio.gather(*(reply.abandon() for reply in running))


async def test_one_message_over_the_bound_is_accepted_alone() -> None:
    here = await bounded(kib=4)
    await leave(here, await here.send(EMOJI))
    with pytest.raises(RateLimited):
        await here.send("Hello")


async def test_refusals_that_are_stored_with_their_key_are_counted_and_others_are_not() -> None:
    here = await bounded(kib=3, credits_=0)
    for _ in range(9):
        with pytest.raises(InsufficientCredits):
            await here.send("Hello")
    for number in range(3):
        for _ in range(2):
            with pytest.raises(InsufficientCredits):
                await here.send("Hello", idempotency_key=f"key {number}")
    with pytest.raises(RateLimited):
        await here.send("Hello")


async def test_a_repeated_message_is_not_counted() -> None:
    here = await bounded(kib=9)
    first = await here.send("Hello", idempotency_key="once")
    await complete(here, first)
    for _ in range(20):
        message = Message(model="demo-mini", text="Hello", idempotency_key="once")
        replay = await here.world.use_cases.chat.send_message(here.alice, message)
        await replay.finished()
    await here.send(EMOJI)


async def test_zero_is_no_bound() -> None:
    here = await bounded(kib=0)
    replies = [await here.send(EMOJI) for _ in range(20)]
    await asyncio.gather(*(reply.abandon() for reply in replies))
    await leave(here, await here.send(EMOJI))
