"""Messages that are accepted, charged or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.events import Accepted, Completed, Delta
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import Snapshot
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.domain.billing.prices import Usage
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    ChatbillError,
    InsufficientCredits,
    InvalidRequest,
    ModelUnavailable,
    NotFound,
    OutOfMemory,
    Overloaded,
    RateLimited,
    TooLarge,
)
from chatbill.domain.shared.ids import ConversationId
from tests.kit.chat import TOKEN_PRICED, Scene, events_of, scene
from tests.kit.engines import ControlledGeneration

T = TypeVar("T")


async def test_a_completed_reply_is_streamed_then_charged() -> None:
    here = await scene()
    reply = await here.send()
    assert (await here.wallet()).held == 1
    here.engine.last.say("Good")
    here.engine.last.say(" day", tokens=2)
    here.engine.last.end()
    accepted, first, second, end = await events_of(reply)
    assert isinstance(accepted, Accepted)
    assert accepted.held == 1
    assert (first, second) == (Delta("Good", 1), Delta(" day", 2))
    assert isinstance(end, Completed)
    done = end.interaction
    assert (done.reply, done.outcome, done.credits_charged, done.balance_after) == (
        "Good day",
        Outcome.COMPLETED,
        1,
        99,
    )
    assert done.usage == Usage(prompt_tokens=10, completion_tokens=3)
    assert (await here.wallet()) == here.purse(posted=99, held=0, version=2)
    assert here.engine.last.closed
    await here.assert_books_agree()


class ReadsCounted(MemoryStore):
    """A store in memory that counts its reads."""

    reads = 0

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        self.reads += 1
        return await super().read(query)


async def test_nothing_is_read_before_a_message_that_begins_a_conversation() -> None:
    store = ReadsCounted()
    here = await scene(store=store)
    before = store.reads
    reply = await here.send()
    assert store.reads == before
    await reply.abandon()
    await here.send(conversation_id=reply.accepted.conversation_id)
    assert store.reads == before + 1


async def test_a_conversation_goes_on_with_what_was_said() -> None:
    here = await scene()
    first = await here.send("My name is Ann.")
    here.engine.last.say("Hello Ann.")
    here.engine.last.end()
    await first.finished()
    broken = await here.send("Lost", conversation_id=first.accepted.conversation_id)
    here.engine.last.fail(OutOfMemory())
    await broken.finished()
    await here.send("Who am I?", conversation_id=first.accepted.conversation_id)
    assert here.engine.last.request.turns == (
        Turn(Role.USER, "My name is Ann."),
        Turn(Role.ASSISTANT, "Hello Ann."),
        Turn(Role.USER, "Who am I?"),
    )


async def test_one_person_has_only_so_many_replies_at_once_and_another_is_not_hindered() -> None:
    here = await scene(per_user=2)
    replies = [await here.send(), await here.send()]
    with pytest.raises(RateLimited, match=r"^too_many_replies\(.*max=2\)$") as refused:
        await here.send()
    bob = Scene(here.world, here.engine, await here.world.person("bob"))
    await (await bob.send()).abandon()

    assert refused.value.retry_after_s == 1
    assert (await here.wallet()).held == 2
    assert len(here.engine.generations) == 3
    for reply in replies:
        reply.stop()
        await reply.finished()
    await (await here.send()).abandon()
    await here.assert_books_agree()


async def test_messages_sent_at_once_do_not_slip_past_the_limit_of_one_person() -> None:
    here = await scene(per_user=3)
    results = await asyncio.gather(*(here.send() for _ in range(20)), return_exceptions=True)
    assert [type(result) for result in results].count(RateLimited) == 17
    assert (await here.wallet()).held == 3


async def test_a_refused_message_gives_its_persons_place_back() -> None:
    here = await scene(per_user=1)
    here.engine.refusal = Overloaded()
    for _ in range(3):
        with pytest.raises(Overloaded):
            await here.send()
    here.engine.refusal = None
    reply = await here.send()
    with pytest.raises(RateLimited):
        await here.send()
    here.engine.last.fail(OutOfMemory())
    await reply.finished()
    await (await here.send()).abandon()


async def test_the_hold_covers_the_most_that_a_reply_can_cost() -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    assert reply.accepted.held == 1 + 1 + 10
    asked_for_less = await here.send(model=TOKEN_PRICED, max_tokens=2)
    assert asked_for_less.accepted.held == 1 + 1 + 1


async def test_what_a_server_counted_in_the_end_is_charged() -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    here.engine.last.say("one two", tokens=2)
    here.engine.last.prompt_tokens, here.engine.last.completion_tokens = 1, 1
    here.engine.last.end()
    end = (await events_of(reply))[-1]
    assert isinstance(end, Completed)
    assert (end.interaction.usage.prompt_tokens, end.interaction.usage.completion_tokens) == (1, 1)
    # 1 a reply, and 1 x 100 + 1 x 500 thousandths for tokens; 12 were held.
    assert end.interaction.credits_charged == 2
    await here.assert_books_agree()


async def test_a_wallet_of_ten_pays_for_ten_of_fifty_messages_sent_at_once() -> None:
    here = await scene(welcome_credits=10)

    async def attempt() -> Wallet | InsufficientCredits:
        try:
            reply = await here.send()
        except InsufficientCredits as refused:
            return refused
        generation = next(each for each in here.engine.generations if not each.closed)
        generation.say("Hi")
        generation.end()
        await reply.finished()
        return await here.wallet()

    async def finish_all() -> None:
        while True:
            for generation in here.engine.generations:
                generation.say("Hi")
                generation.end()
            await asyncio.sleep(0.01)

    finishing = asyncio.create_task(finish_all())
    results = await asyncio.gather(*(attempt() for _ in range(50)))
    finishing.cancel()
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert len(refused) == 40
    assert {(refusal.required, refusal.available) for refusal in refused} == {(1, 0)}
    assert (await here.wallet()) == here.purse(posted=0, held=0, version=11)
    assert all(generation.closed for generation in here.engine.generations)
    await here.assert_books_agree()


async def test_a_refused_message_leaves_no_trace() -> None:
    here = await scene(welcome_credits=2)
    with pytest.raises(InsufficientCredits) as refused:
        await here.send(model="demo-pro")
    assert (refused.value.required, refused.value.available) == (3, 2)
    assert here.engine.last.closed
    assert (await here.world.use_cases.chat.list_history(here.alice)).items == []
    assert (await here.world.use_cases.chat.list_conversations(here.alice)).items == []


@pytest.mark.parametrize(
    ("said", "asked"), [(None, None), (0, 0), (5e-324, 0), (1e-38, 0), (9e-6, 0), (1e-5, 1e-5), (0.7, 0.7)]
)
async def test_no_engine_is_asked_for_a_temperature_that_it_could_not_divide_by(
    said: float | None, asked: float | None
) -> None:
    here = await scene()
    await here.send("Hello", temperature=said)

    assert here.engine.last.request.temperature == asked


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (Message(model="demo-max", text="Hello"), InvalidRequest),
        (Message(model="demo-mini", text="  \n"), InvalidRequest),
        (Message(model="demo-mini", text="x" * 10_001), TooLarge),
        (Message(model="demo-mini", text="a\x00b"), InvalidRequest),
        (Message(model="demo-mini", text="a\ud800b"), InvalidRequest),
        (Message(model="demo-mini", text="Hello", max_tokens=0), InvalidRequest),
        (Message(model="demo-mini", text="Hello", temperature=2.1), InvalidRequest),
        (Message(model="demo-mini", text="Hello", temperature=float("nan")), InvalidRequest),
        (Message(model="demo-mini", text="Hello", idempotency_key=""), InvalidRequest),
        (Message(model="demo-mini", text="Hello", idempotency_key="ключ"), InvalidRequest),
        (Message(model="demo-mini", text="Hello", conversation_id=ConversationId("nobody's")), NotFound),
    ],
)
async def test_what_breaks_a_rule_is_refused_before_any_work(message: Message, error: type[ChatbillError]) -> None:
    here = await scene()
    with pytest.raises(error):
        await here.world.use_cases.chat.send_message(here.alice, message)
    assert here.engine.generations == []


@pytest.mark.parametrize("refusal", [Overloaded(), ModelUnavailable("demo-mini", Description("model_not_set_up"))])
async def test_an_engine_that_refuses_costs_nothing(refusal: ChatbillError) -> None:
    here = await scene()
    here.engine.refusal = refusal
    with pytest.raises(type(refusal)):
        await here.send()
    assert (await here.wallet()).held == 0


async def test_nobody_stops_or_continues_what_is_somebody_elses() -> None:
    here = await scene()
    reply = await here.send()
    bob = await here.world.person("bob")
    with pytest.raises(NotFound):
        await here.world.use_cases.chat.stop_message(bob, reply.accepted.interaction_id)
    message = Message(model="demo-mini", text="Hello", conversation_id=reply.accepted.conversation_id)
    with pytest.raises(NotFound):
        await here.world.use_cases.chat.send_message(bob, message)


async def test_history_shows_how_each_message_ended() -> None:
    here = await scene()
    good = await here.send("good")
    here.engine.last.say("day")
    here.engine.last.end()
    await good.finished()
    bad = await here.send("bad")
    here.engine.last.fail(OutOfMemory())
    await bad.finished()
    history = await here.world.use_cases.chat.list_history(here.alice, limit=MAX_PAGE)
    assert [(item.prompt, item.outcome, item.credits_charged) for item in history.items] == [
        ("bad", Outcome.FAILED, 0),
        ("good", Outcome.COMPLETED, 1),
    ]


async def test_a_generation_is_closed_when_the_store_refuses_the_hold() -> None:
    here = await scene()
    conversation = (await here.send()).accepted.conversation_id
    generation: ControlledGeneration = here.engine.last
    generation.end()
    await asyncio.sleep(0.01)
    await here.world.use_cases.chat.delete_conversation(here.alice, conversation)
    with pytest.raises(NotFound):
        await here.send(conversation_id=conversation)
