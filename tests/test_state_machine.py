"""Every store and plain arithmetic agree after every step of whatever people, engines and time may do."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.payments import PaymentEvent, PaymentStatus
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, InvariantViolation
from chatbill.testing import ManualClock
from tests.kit.ledger_model import CATALOGUE, FLAT, METERED, START, Asked, BooksModel, Key, Purchase, ToldEngine, broken
from tests.kit.ledger_sides import Question, Running, Side, code_of, expected_again
from tests.kit.stores import STORES
from tests.kit.support import PASSWORD, world

T = TypeVar("T")

WELCOME = 12
LIFETIME_S = 10_000
ANY = st.integers(0, 11)
"""Which of those there are."""
KEYS = st.sampled_from([f"key-{number}" for number in range(6)])
QUESTIONS = st.builds(
    Question,
    name=st.sampled_from(["alice", "bob"]),
    model=st.sampled_from([FLAT, METERED]),
    words=st.integers(1, 3),
    max_tokens=st.integers(1, 3),
    key=st.one_of(st.none(), KEYS),
    conversation=st.one_of(st.none(), st.integers(0, 3)),
)


class AuditInput(RuleBasedStateMachine):
    """Every rule does the same in each world and in the model, and compares what came of it."""

    # SQLite joins once it keeps subjects and events.
    stores: ClassVar[tuple[str, ...]] = ("memory", "sqlite")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="chatbill-machine-"))
        self.runner = asyncio.Runner()
        self.model = BooksModel(welcome=WELCOME, lifetime_s=LIFETIME_S)
        self.sides = [self.open_side(name) for name in self.stores]
        self.running: list[Running] = []
        self.again: list[Callable[[], None]] = []

    def open_side(self, name: str) -> Side:
        folder = self.folder / name
        folder.mkdir()
        engine = ToldEngine()
        opened = world(
            store=STORES[name](folder),
            engine=engine,
            catalogue=CATALOGUE,
            clock=ManualClock(START),
            welcome_credits=WELCOME,
            deadline_s=LIFETIME_S,
            grace_s=0,
        )
        return Side(opened, engine)

    def teardown(self) -> None:
        for side in self.sides:
            self.run(side.world.use_cases.chat.replies.drain(grace_s=0))
            for block, charge in side.captions:
                charge.cost = 0
                with suppress(InvariantViolation):  # for one that was swept
                    self.run(block.__aexit__(None, None, None))
            self.run(side.world.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def run(self, awaitable: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await awaitable

        return self.runner.run(awaited())

    def everywhere(self, act: Callable[[Side], Awaitable[T]]) -> list[T]:
        return [self.run(act(side)) for side in self.sides]

    def told(self, act: Callable[[Side], Awaitable[object]], expected: str | None) -> None:
        """The same words are said everywhere, and they are those of the error that the model expects."""
        said = self.everywhere(lambda side: code_of(act(side)))
        assert said == [expected] * len(self.sides), said

    @initialize()
    def begin(self) -> None:
        self.register("alice")
        self.make_api_key("alice", "ci", 5, None)

    def register(self, name: str) -> None:
        self.model.register(name)
        for side, principal in zip(self.sides, self.everywhere(lambda side: side.world.person(name)), strict=True):
            side.people[name] = principal

    @rule(name=st.sampled_from(["bob", "carol"]))
    def somebody_registers(self, name: str) -> None:
        if name not in self.model.people:
            self.register(name)

    @rule(name=st.sampled_from(["alice", "bob"]), amount=st.integers(1, 8), key=st.one_of(st.none(), KEYS))
    def somebody_tops_up(self, name: str, amount: int, key: str | None) -> None:
        if name in self.model.people:
            self.top_up(name, amount, key)

    def top_up(self, name: str, amount: int, key: str | None) -> None:
        person, request = self.model.people[name], ("top up", amount)
        known = person.keys.get(key) if key else None
        if not known:
            person.post("top_up", amount)
            self.model.purchases.append(Purchase(name, amount))
        if key and not known:
            person.keys[key] = (request, "paid")
            self.again.append(lambda: self.top_up(name, amount, key))
        order = Order(amount=amount, idempotency_key=key)
        expected = None if not known or known[0] == request else "idempotency_mismatch"

        async def buy(side: Side) -> None:
            receipt = await side.world.use_cases.billing.place_order(side.people[name], order)
            if not known:
                side.payments.append(receipt.payment.id)

        self.told(buy, expected)

    @precondition(lambda self: self.model.purchases)
    @rule(which=ANY, status=st.sampled_from([PaymentStatus.REFUNDED, PaymentStatus.CONFIRMED, PaymentStatus.FAILED]))
    def a_provider_sends_an_event(self, which: int, status: PaymentStatus) -> None:
        """Every payment was confirmed at once, so of all events only a refund changes something, once."""
        number = which % len(self.model.purchases)
        if status is PaymentStatus.REFUNDED:
            self.model.refund_payment(self.model.purchases[number])
        self.told(
            lambda side: side.world.use_cases.billing.confirm_payment(
                PaymentEvent(payment_id=side.payments[number], status=status)
            ),
            None,
        )

    @rule(name=st.sampled_from(["alice", "bob"]), most=st.integers(0, 9))
    def a_caption_begins(self, name: str, most: int) -> None:
        if name not in self.model.people:
            name = "alice"
        begun = self.model.begin_work(name, most)

        async def begin(side: Side) -> None:
            charges, wallet_id = side.world.use_cases.billing.charges, side.people[name].wallet_id
            subject = Subject("caption", f"caption-{len(side.captions)}")
            block = charges.hold(wallet_id, most, Description.of("caption"), subject, ttl_s=LIFETIME_S)
            side.captions.append((block, await block.__aenter__()))

        self.told(begin, begun if isinstance(begun, str) else None)

    @precondition(lambda self: any(work.running for work in self.model.works))
    @rule(which=ANY, due=st.integers(0, 9), fails=st.booleans())
    def a_caption_ends(self, which: int, due: int, fails: bool) -> None:
        """It is captured, or released; where no rule ends it, it is left to the sweep."""
        running = [number for number, work in enumerate(self.model.works) if work.running]
        number = running[which % len(running)]
        work = self.model.works[number]
        due = min(due, work.held)
        self.model.end_work(work, 0 if fails else due)

        async def end(side: Side) -> None:
            block, charge = side.captions[number]
            charge.cost = due
            error = GenerationFailed() if fails else None
            await block.__aexit__(type(error) if error else None, error, None)

        # The error of the work is not swallowed by its block, but goes on where the block ends.
        self.everywhere(end)

    @rule(question=QUESTIONS)
    def somebody_asks(self, question: Question) -> None:
        if question.name not in self.model.people:
            question = replace(question, name="alice")
        if (question.conversation or 0) >= len(self.sides[0].conversations):
            question = replace(question, conversation=None)
        self.ask(question)

    @precondition(lambda self: self.model.api_keys)
    @rule(questions=st.lists(QUESTIONS, min_size=1, max_size=4), which=ANY)
    def a_program_asks(self, questions: list[Question], which: int) -> None:
        """Programs ask often, and mostly in conversations of their own."""
        number = which % len(self.model.api_keys)
        owner = self.model.api_keys[number].owner
        for place, question in enumerate(questions):
            where = None if place else question.conversation
            self.somebody_asks(replace(question, name=owner, conversation=where, api_key=number))

    @precondition(lambda self: self.again)
    @rule(which=ANY)
    def somebody_repeats_a_request(self, which: int) -> None:
        self.again[which % len(self.again)]()

    def ask(self, question: Question) -> None:
        key, where = question.key, question.conversation
        if key and key not in self.model.people[question.name].keys:
            self.again.append(lambda: self.ask(question))
        expected, asked = self.expect(question)
        replies: list[Reply] = []

        async def send(side: Side) -> None:
            conversation = None if where is None else side.conversations[where]
            message = question.message(conversation)
            reply = await side.world.use_cases.chat.send_message(await side.who_asks(question), message)
            if isinstance(reply, Replay):
                await reply.finished()
                return
            replies.append(reply)
            if where is None:
                side.conversations.append(reply.accepted.conversation_id)

        self.told(send, expected)
        assert len(replies) == (len(self.sides) if asked else 0)
        if asked:
            writings = [side.engine.last for side in self.sides if side.engine.last]
            self.running.append(Running(asked, replies, writings, question.max_tokens))

    def expect(self, question: Question) -> tuple[str | None, Asked | None]:
        """What the model makes of a question: the error's code, and the request if it was accepted."""
        if question.api_key is not None and not self.model.come_with(self.model.api_keys[question.api_key]):
            return "unauthenticated", None
        person, key, where = self.model.people[question.name], question.key, question.conversation
        if key and (known := person.keys.get(key)):
            return expected_again(known, question), None
        if where is not None:
            owner = next(asked.owner for asked in self.model.asked if asked.conversation == where)
            if owner != question.name or where in self.model.deleted:
                return "not_found", None
        place = len(self.sides[0].conversations) if where is None else where
        asked = self.model.accept(
            question.name, place, question.model, question.prompt, question.max_tokens, question.api_key
        )
        if key:
            person.keys[key] = (question, asked)
        return (None, asked) if isinstance(asked, Asked) else (asked, None)

    @precondition(lambda self: self.running)
    @rule(which=ANY, tokens=st.integers(1, 3))
    def the_engine_writes(self, which: int, tokens: int) -> None:
        reply = self.running[which % len(self.running)]
        for _ in range(min(tokens, reply.max_tokens - len(reply.asked.words))):
            word = f"token-{len(reply.asked.words)} "
            reply.asked.words.append(word)
            for writing in reply.writings:
                writing.order(word)
        self.run(settle_down())

    @precondition(lambda self: self.running)
    @rule(which=ANY, fails=st.booleans())
    def the_engine_ends(self, which: int, fails: bool) -> None:
        reply = self.running.pop(which % len(self.running))
        # A reply without a word is nothing to pay for.
        self.model.end(reply.asked, "completed" if reply.asked.words and not fails else "failed", reply.asked.words)
        for writing in reply.writings:
            writing.order(broken() if fails else None)
        self.wait_for(reply)

    @precondition(lambda self: self.running)
    @rule(which=ANY)
    def somebody_stops_it(self, which: int) -> None:
        reply = self.running.pop(which % len(self.running))
        self.model.end(reply.asked, "stopped", reply.asked.words)
        for each in reply.replies:
            each.stop()
        self.wait_for(reply)

    @precondition(lambda self: self.running)
    @rule(which=ANY, taken=st.integers(0, 3))
    def the_connection_is_lost(self, which: int, taken: int) -> None:
        reply = self.running.pop(which % len(self.running))
        delivered = reply.asked.words[:taken]
        self.model.end(reply.asked, "stopped", delivered)

        async def leave(each: Reply) -> None:
            events = aiter(each)
            for _ in range(1 + len(delivered)):
                await anext(events)
            await each.abandon()

        for each in reply.replies:
            self.run(leave(each))
        self.wait_for(reply)

    def wait_for(self, reply: Running) -> None:
        """For the end, which tells what the books say even where the sweep came first."""
        for each in reply.replies:
            assert self.run(each.finished()).interaction.outcome == reply.asked.outcome

    @rule(
        name=st.sampled_from(["alice", "bob"]),
        called=st.sampled_from(["ci", "home"]),
        cap=st.sampled_from([None, 3, 5, 7]),
        lives_s=st.sampled_from([None, None, None, 4_000]),
    )
    def somebody_makes_an_api_key(self, name: str, called: str, cap: int | None, lives_s: int | None) -> None:
        self.make_api_key(name if name in self.model.people else "alice", called, cap, lives_s)

    def make_api_key(self, name: str, called: str, cap: int | None, lives_s: int | None) -> None:
        now, keys = self.model.now, self.model.api_keys
        expected = "conflict" if any(key.owner == name and key.name == called for key in unrevoked(keys)) else None
        if expected is None:
            keys.append(Key(name, called, cap, now, lives_s and now + lives_s))

        async def make(side: Side) -> None:
            expires_at = side.world.clock() + timedelta(seconds=lives_s) if lives_s else None
            order = NewApiKey(name=called, password=PASSWORD, monthly_cap=cap, expires_at=expires_at)
            side.api_keys.append(await side.world.use_cases.accounts.create_api_key(side.people[name], order))

        self.told(make, expected)

    @precondition(lambda self: self.model.api_keys)
    @rule(which=ANY, name=st.sampled_from(["alice", "bob"]))
    def somebody_revokes_an_api_key(self, which: int, name: str) -> None:
        number = which % len(self.model.api_keys)
        key = self.model.api_keys[number]
        if name not in self.model.people:
            name = key.owner
        key.revoked = key.revoked or name == key.owner
        self.told(
            lambda side: side.world.use_cases.accounts.revoke_api_key(side.people[name], side.api_keys[number].key.id),
            None if name == key.owner else "not_found",
        )

    @rule()
    def the_month_is_nearly_over(self) -> None:
        """So that requests which begin in it end in the next."""
        next_month = (self.model.month + timedelta(days=32)).replace(day=1)
        left_s = int((next_month - START).total_seconds() - self.model.now)
        if left_s > LIFETIME_S:
            self.time_passes(left_s - 100)

    @rule(seconds=st.sampled_from([1, 4_000, LIFETIME_S - 1, LIFETIME_S]))
    def time_passes_and_the_sweep_comes(self, seconds: int) -> None:
        self.time_passes(seconds)

    def time_passes(self, seconds: int) -> None:
        interrupted = self.model.wait(seconds)
        for side in self.sides:
            side.world.clock.advance(seconds)
        assert self.everywhere(lambda side: side.world.use_cases.maintenance.expire_holds()) == [interrupted] * len(
            self.sides
        )

    @rule(conversation=st.integers(0, 3))
    def somebody_deletes_a_conversation(self, conversation: int) -> None:
        if conversation >= len(self.sides[0].conversations):
            return
        owner = next(asked.owner for asked in self.model.asked if asked.conversation == conversation)
        expected = None
        if conversation in self.model.deleted:
            expected = "not_found"
        elif self.model.is_running_in(conversation):
            expected = "conflict"
        else:
            self.model.deleted.add(conversation)
        self.told(
            lambda side: side.world.use_cases.chat.delete_conversation(
                side.people[owner], side.conversations[conversation]
            ),
            expected,
        )

    @invariant()
    def balances_histories_and_transactions_agree(self) -> None:
        for name, person in self.model.people.items():
            everything = self.everywhere(lambda side, name=name: side.seen_by(name))  # type: ignore[misc]
            assert everything[1:] == everything[:-1], "the stores differ"
            wallet, history, transactions = everything[0]
            assert (wallet.posted, wallet.held) == (person.posted, person.held)
            assert person.held >= 0
            assert person.posted >= person.held or any(
                purchase.refunded for purchase in self.model.purchases if purchase.owner == name
            )
            assert [
                (row.model, row.prompt, row.outcome, row.reply, row.credits_charged, row.balance_after)
                for row in history
            ] == self.model.history(name)
            entries = [(entry.kind, entry.signed_amount, entry.balance_after) for entry in reversed(transactions)]
            assert entries == person.entries

    @invariant()
    def what_api_keys_used_agrees(self) -> None:
        model = self.model
        for name in model.people:
            mine = [
                (
                    key.name,
                    key.cap,
                    moment(key.made_at),
                    moment(key.expires_at),
                    moment(key.used_at),
                    model.is_live(key),
                    model.used(number, model.month),
                )
                for number, key in enumerate(model.api_keys)
                if key.owner == name and not key.revoked
            ]
            assert self.everywhere(lambda side, name=name: side.api_keys_of(name)) == [mine] * len(self.sides)  # type: ignore[misc]
        for number, month in {(asked.api_key, asked.month) for asked in model.asked if asked.api_key is not None}:
            used = self.everywhere(lambda side, number=number, month=month: side.used(number, month))  # type: ignore[misc]
            assert used == [model.used(number, month)] * len(self.sides)

    @invariant()
    def the_ledger_verifies(self) -> None:
        for side in self.sides:
            found: list[Difference] = []
            verdict = self.run(side.world.use_cases.audit.verify_ledger(found.append))
            assert found == []
            assert verdict.tally.owned == sum(person.posted for person in self.model.people.values())


def unrevoked(keys: list[Key]) -> list[Key]:
    return [key for key in keys if not key.revoked]


def moment(seconds: float | None) -> datetime | None:
    """The time that so many seconds of the model are."""
    return None if seconds is None else START + timedelta(seconds=seconds)


async def settle_down() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


# A failure is shown as it was found: making it small takes minutes, longer than a test may take. To have a small one,
# leave out `phases` and run with `--timeout 0 -o faulthandler_timeout=0`.
BOUNDED = settings(
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
# Half a minute alone; beside other work it took more than the two minutes that a test has.
TestBooks = pytest.mark.timeout(400)(AuditInput.TestCase)
TestBooks.settings = settings(BOUNDED, max_examples=120)


class BooksWithPostgres(AuditInput):
    """A server is slower, so it is asked for fewer examples."""

    stores: ClassVar[tuple[str, ...]] = ("memory", "postgres")


class BooksWithPostgresAgain(BooksWithPostgres):
    """Other examples, because the name of the class is a part of their seed; all in one take too long for one test."""


TestBooksWithPostgres = pytest.mark.timeout(400)(pytest.mark.postgres(BooksWithPostgres.TestCase))
TestBooksWithPostgres.settings = settings(BOUNDED, max_examples=13)
TestBooksWithPostgresAgain = pytest.mark.timeout(400)(pytest.mark.postgres(BooksWithPostgresAgain.TestCase))
TestBooksWithPostgresAgain.settings = settings(BOUNDED, max_examples=13)
