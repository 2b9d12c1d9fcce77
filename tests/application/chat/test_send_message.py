"""The life of a message: held, answered, settled once, however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from chatbill.application.chat.events import Accepted, Completed, Delta, End, Event, Failed, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply, StopReason
from chatbill.application.shared.paging import MAX_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.prices import Price, Usage
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    ChatbillError,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    InvariantViolation,
    ModelUnavailable,
    NotFound,
    OutOfMemory,
    Overloaded,
    RateLimited,
    RequestInProgress,
    TooLarge,
)
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import ConversationId, ModelId
from tests.kit.engines import ControlledEngine, ControlledGeneration
from tests.kit.support import CATALOGUE, World, world

TOKEN_PRICED = ModelId("by-token")
WITH_TOKENS = Catalogue(
    (
        *CATALOGUE.values(),
        Model(
            id=TOKEN_PRICED,
            name="By token",
            tier=Tier.PRO,
            price=Price(per_reply=1, per_1k_prompt_tokens=100, per_1k_completion_tokens=500),
            context_tokens=2_048,
            max_reply_tokens=20,
        ),
    )
)


@dataclass
class Scene:
    """Somebody with 100 credits, and an engine that does what it is told."""

    world: World
    engine: ControlledEngine
    alice: Principal

    async def send(self, text: str = "Hello", model: str = "demo-mini", **more: object) -> Reply:
        reply = await self.world.use_cases.chat.send_message(self.alice, Message(model=model, text=text, **more))  # type: ignore[arg-type]
        assert isinstance(reply, Reply)
        return reply

    async def wallet(self) -> Wallet:
        return await self.world.use_cases.billing.read_balance(self.alice)

    def purse(self, **state: int) -> Wallet:
        """Alice's wallet in this state."""
        return Wallet(id=self.alice.wallet_id, owner=Owner(USER, self.alice.user_id), **state)

    async def assert_books_agree(self) -> None:
        differences: list[object] = []
        verdict = await self.world.use_cases.audit.verify_ledger(differences.append)
        assert verdict.agrees, differences


async def scene(**options: object) -> Scene:
    engine = ControlledEngine(WITH_TOKENS)
    here = world(engine=engine, catalogue=WITH_TOKENS, **options)  # type: ignore[arg-type]
    return Scene(here, engine, await here.person())


async def events_of(reply: Reply | Replay) -> list[Event]:
    return [event async for event in reply]


async def taken(reply: Reply, count: int) -> list[Event]:
    """The first `count` events; the stream stays open."""
    stream = aiter(reply)
    return [await anext(stream) for _ in range(count)]


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


async def test_nobody_stops_or_continues_what_is_somebody_elses() -> None:
    here = await scene()
    reply = await here.send()
    bob = await here.world.person("bob")
    with pytest.raises(NotFound):
        await here.world.use_cases.chat.stop_message(bob, reply.accepted.interaction_id)
    message = Message(model="demo-mini", text="Hello", conversation_id=reply.accepted.conversation_id)
    with pytest.raises(NotFound):
        await here.world.use_cases.chat.send_message(bob, message)


async def test_a_hold_that_outlives_its_reply_is_swept_and_the_late_reply_is_free() -> None:
    here = await scene()
    reply = await here.send()
    here.world.clock.advance(9)
    assert await here.world.use_cases.maintenance.expire_holds() == 0
    here.world.clock.advance(1)
    assert await here.world.use_cases.maintenance.expire_holds() == 1
    await here.send()
    assert await here.world.use_cases.maintenance.expire_holds(even_early=True) == 1
    assert (await here.wallet()).available == 100
    here.engine.last.say("late")
    here.engine.last.end()
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
