"""Messages repeated with an idempotency key."""

from __future__ import annotations

import asyncio

import pytest

from chatbill.application.chat.events import Delta
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.domain.shared.errors import (
    IdempotencyMismatch,
    InsufficientCredits,
    InvariantViolation,
    OutOfMemory,
    RequestInProgress,
)
from chatbill.domain.shared.idempotency import IdempotencyRecord
from tests.kit.chat import events_of, scene


async def test_the_same_key_gives_the_same_answer_and_charges_once() -> None:
    here = await scene()
    reply = await here.send(idempotency_key="key")
    message = Message(model="demo-mini", text="Hello", idempotency_key="key")
    with pytest.raises(RequestInProgress):
        await here.world.use_cases.chat.send_message(here.alice, message)
    here.engine.last.say("Good")
    here.engine.last.say(" day")
    here.engine.last.end()
    first = await events_of(reply)
    again = await here.world.use_cases.chat.send_message(here.alice, message)
    assert isinstance(again, Replay)
    replayed = await events_of(again)
    assert replayed == [first[0], Delta("Good day", 2), first[-1]]
    assert len(here.engine.generations) == 1
    assert (await here.wallet()).posted == 99


async def test_repetitions_at_the_same_moment_meet_no_limit() -> None:
    here = await scene(per_user=1)
    message = Message(model="demo-mini", text="Hello", idempotency_key="key")
    send = here.world.use_cases.chat.send_message
    answers = await asyncio.gather(*(send(here.alice, message) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, Reply) for answer in answers) == 1
    assert sum(isinstance(answer, RequestInProgress) for answer in answers) == 4


async def test_the_same_key_repeats_a_failure_and_a_refusal() -> None:
    here = await scene(welcome_credits=2)
    failed = await here.send(idempotency_key="failed")
    here.engine.last.fail(OutOfMemory())
    first = await failed.finished()
    again = await here.world.use_cases.chat.send_message(
        here.alice, Message(model="demo-mini", text="Hello", idempotency_key="failed")
    )
    assert await again.finished() == first
    for _ in range(2):
        with pytest.raises(InsufficientCredits) as refused:
            await here.send(model="demo-pro", idempotency_key="refused")
        assert (refused.value.required, refused.value.available) == (3, 2)


async def test_the_same_key_with_another_message_is_refused() -> None:
    here = await scene()
    await here.send(idempotency_key="key")
    with pytest.raises(IdempotencyMismatch):
        await here.send("Other", idempotency_key="key")


async def test_a_key_is_a_persons_own() -> None:
    here = await scene()
    await here.send(idempotency_key="key")
    bob = await here.world.person("bob")
    reply = await here.world.use_cases.chat.send_message(
        bob, Message(model="demo-mini", text="Other", idempotency_key="key")
    )
    assert isinstance(reply, Reply)


async def test_a_key_that_names_somebody_elses_reply_does_not_give_it_away() -> None:
    here = await scene()
    reply = await here.send(idempotency_key="key")
    bob = await here.world.person("bob")
    message = Message(model="demo-mini", text="Hello", idempotency_key="key")
    forged = IdempotencyRecord(
        user_id=bob.user_id,
        key="key",
        fingerprint=message.fingerprint,
        created_at=here.world.clock(),
        subject_id=reply.accepted.interaction_id,
    )
    await here.world.store.write(lambda tx: tx.idempotency.claim(forged))
    with pytest.raises(InvariantViolation):
        await here.world.use_cases.chat.send_message(bob, message)
