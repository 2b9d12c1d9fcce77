"""Every method of every repository, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.application.billing.postings import keep_hold, keep_posting
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.accounts.sessions import RefreshToken, SessionEnd
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.payments import Money
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import AlreadySettled, EmailTaken, InvariantViolation, NotFound, UsernameTaken
from chatbill.domain.shared.idempotency import IdempotencyRecord, Refusal
from chatbill.domain.shared.ids import (
    ConversationId,
    EntryId,
    HoldId,
    InteractionId,
    ModelId,
    PaymentId,
    SessionId,
    UserId,
    WalletId,
)
from tests.kit.stores import (
    ALICE,
    BOB,
    EVERY_STORE,
    NOON,
    PURSE,
    STORES,
    TALK,
    add_person,
    add_running,
    charge,
    conversation,
    grant,
    interaction,
    later,
    new_wallet,
    payment,
    promise,
    session,
    user,
)


@pytest_asyncio.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which Alice has 100 credits and a conversation, and Bob likewise."""
    opened = STORES[request.param](tmp_path)
    await opened.write(add_person)
    await opened.write(lambda tx: add_person(tx, "bob"))
    yield opened
    await opened.close()


async def write(store: Store, *changes: Callable[[Transaction], Any]) -> None:
    """All changes in one transaction."""
    await store.write(lambda tx: [change(tx) for change in changes] and None)


class TestUsers:
    async def test_are_found_by_id_by_name_and_by_address(self, store: Store) -> None:
        def query(snapshot: Snapshot) -> list[Any]:
            users = snapshot.users
            return [users.get(ALICE), users.by_login("alice"), users.by_login("alice@example.org")]

        assert await store.read(query) == [user()] * 3

    @pytest.mark.parametrize("unknown", ["", "carol", "ALICE", "alice'--", "\ud800", "a" * 10_000])
    async def test_are_not_found_by_another_key(self, store: Store, unknown: str) -> None:
        assert await store.read(lambda snapshot: snapshot.users.by_login(unknown)) is None
        assert await store.read(lambda snapshot: snapshot.users.get(UserId(unknown))) is None

    async def test_names_and_addresses_are_unique_whatever_their_letter_case(self, store: Store) -> None:
        with pytest.raises(UsernameTaken):
            await store.write(lambda tx: tx.users.add(user("x", username="ALICE", wallet_id=PURSE)))
        with pytest.raises(EmailTaken):
            await store.write(lambda tx: tx.users.add(user("x", email="Alice@Example.org", wallet_id=PURSE)))
        assert await store.read(lambda snapshot: snapshot.users.get(UserId("x"))) is None

    async def test_are_saved_with_every_change(self, store: Store) -> None:
        changed = user(password_hash="other", role=UserRole.ADMIN, disabled_at=later(1))

        def work(tx: Transaction) -> Any:
            assert tx.users.lock(ALICE) == user()
            tx.users.save(changed)
            return tx.users.lock(ALICE)

        assert await store.write(work) == changed
        assert await store.write(lambda tx: tx.users.lock(UserId("nobody"))) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.users.save(user("nobody", wallet_id=PURSE)))


class TestSessions:
    async def test_keep_how_they_ended(self, store: Store) -> None:
        mine, ended = session(), session()
        ended.end(SessionEnd.SIGNED_OUT, at=later(5))

        def work(tx: Transaction) -> Any:
            tx.sessions.add(mine)
            assert tx.sessions.lock(mine.id) == mine
            tx.sessions.save(ended)
            return tx.sessions.get(mine.id)

        assert await store.write(work) == ended
        assert await store.read(lambda snapshot: snapshot.sessions.get(SessionId("none"))) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.save(session("none")))

    async def test_live_ones_are_listed_by_person(self, store: Store) -> None:
        rows = (
            session("a"),
            session("b", ended_at=later(1), ended_because=SessionEnd.SIGNED_OUT),
            session("c", user_id=BOB),
            session("d"),
        )
        await write(store, *(lambda tx, row=row: tx.sessions.add(row) for row in rows))
        live = await store.write(lambda tx: tx.sessions.live_of(ALICE))
        assert {row.id for row in live} == {"a", "d"}

    async def test_tokens_are_spent_and_found_by_digest(self, store: Store) -> None:
        token = RefreshToken(digest="d1", session_id=SessionId("session"), issued_at=NOON)
        spent = replace(token, spent_at=later(9))
        await write(store, lambda tx: tx.sessions.add(session()), lambda tx: tx.sessions.add_token(token))
        assert await store.read(lambda snapshot: snapshot.sessions.token("d1")) == token
        await write(store, lambda tx: tx.sessions.save_token(spent))
        assert await store.read(lambda snapshot: snapshot.sessions.token("d1")) == spent
        assert await store.read(lambda snapshot: snapshot.sessions.token("d2")) is None
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.add_token(token))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.sessions.save_token(replace(token, digest="d2")))

    async def test_expired_ones_are_forgotten_with_their_tokens_a_batch_at_a_time(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number in range(5):
                name = f"s{number}"
                tx.sessions.add(session(name, expires_at=later(number)))
                tx.sessions.add_token(RefreshToken(digest=name, session_id=SessionId(name), issued_at=NOON))

        await store.write(work)
        forgotten = [
            await store.write(lambda tx: tx.sessions.forget(expired_before=later(3), limit=2)) for _ in range(3)
        ]
        assert forgotten == [2, 1, 0]
        left = await store.read(lambda snapshot: [snapshot.sessions.token(f"s{n}") is not None for n in range(5)])
        assert left == [False, False, False, True, True]
        assert await store.read(lambda snapshot: snapshot.sessions.get(SessionId("s3"))) is not None


class TestWallets:
    async def test_that_do_not_exist_cannot_be_locked_or_saved(self, store: Store) -> None:
        assert await store.read(lambda snapshot: snapshot.wallets.get(WalletId("none"))) is None
        with pytest.raises(NotFound):
            await store.write(lambda tx: tx.wallets.lock(WalletId("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.save(new_wallet("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.add(new_wallet()))

    @pytest.mark.parametrize(
        "wrong",
        [
            new_wallet(posted=100, held=101, version=1),
            new_wallet(posted=100, held=-1, version=1),
            new_wallet(posted=-1, held=0, version=2),
        ],
    )
    async def test_can_neither_promise_more_than_they_own_nor_less_than_nothing(
        self, store: Store, wrong: Wallet
    ) -> None:
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.wallets.save(wrong))
        assert await store.read(lambda snapshot: snapshot.wallets.get(PURSE)) == new_wallet(posted=100, version=1)


class TestHolds:
    async def test_are_settled_once(self, store: Store) -> None:
        await store.write(add_running)
        pending = await store.read(lambda snapshot: snapshot.holds.get(HoldId("hold-first")))
        assert pending is not None
        assert pending.is_pending
        charged = await store.write(charge)
        assert await store.read(lambda snapshot: snapshot.holds.get(pending.id)) == charged.hold
        released = new_wallet(posted=100, held=5).release(pending, at=later(3)).hold
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(released))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(replace(released, id=HoldId("none"))))
        assert await store.read(lambda snapshot: snapshot.holds.get(pending.id)) == charged.hold

    async def test_cannot_be_negative_captured_for_more_or_added_twice(self, store: Store) -> None:
        hold = await store.write(add_running)
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.add(hold))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.add(replace(hold, id=HoldId("other"), amount=-1)))
        captured = new_wallet(posted=100, held=5).capture(hold, 5, entry_id=EntryId("none"), at=later(3)).hold
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.holds.save(replace(captured, captured=6)))

    async def test_that_are_due_come_oldest_first_up_to_the_limit(self, store: Store) -> None:
        holds: dict[str, Hold] = {}

        def work(tx: Transaction) -> None:
            for name, expires_at in (("c", 30), ("a", 10), ("e", 90), ("b", 10), ("d", 60), ("done", 1)):
                running = interaction(name, held=1)
                made = promise(tx.wallets.lock(PURSE), running, expires_at=later(expires_at))
                holds[name] = keep_hold(tx, made)
                tx.interactions.add(running)
            charge(tx, "done", 1)

        await store.write(work)
        due = await store.read(lambda snapshot: snapshot.holds.due(later(60), 10))
        assert due == [holds[name] for name in ("a", "b", "c", "d")]
        assert await store.read(lambda snapshot: snapshot.holds.due(later(60), 2)) == due[:2]
        assert await store.read(lambda snapshot: snapshot.holds.due(later(9), 2)) == []


class TestLedger:
    async def test_entries_come_newest_first_by_kind_period_and_version(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number in range(1, 4):
                keep_posting(tx, grant(tx.wallets.lock(PURSE), number, at=later(number)))
            add_running(tx)
            charge(tx)

        await store.write(work)

        async def versions(**filters: Any) -> list[int]:
            arguments: dict[str, Any] = {"limit": 10} | filters
            found = await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, **arguments))
            return [entry.wallet_version for entry in found]

        assert await versions() == [5, 4, 3, 2, 1]
        assert await versions(limit=2) == [5, 4]
        assert await versions(below_version=4, limit=2) == [3, 2]
        assert await versions(kind=EntryKind.CHARGE) == [5]
        assert await versions(kind=EntryKind.TOP_UP) == []
        assert await versions(period=Period(start=later(1), end=later(3))) == [5, 3, 2]
        assert await versions(period=Period(start=later(2)), kind=EntryKind.GRANT, below_version=4) == [3]

    async def test_entries_come_back_as_they_went_in(self, store: Store) -> None:
        await store.write(add_running)
        charged = await store.write(charge)
        (newest,) = await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, limit=1))
        assert newest == charged.entry

    async def test_a_version_comes_once_and_a_hold_is_charged_once(self, store: Store) -> None:
        await store.write(add_running)
        charged = await store.write(charge)
        again = replace(charged.entry, id=EntryId("again"), wallet_version=3, balance_after=92)
        same_version = replace(grant(new_wallet()).entry, id=EntryId("other"))
        for entry in (again, same_version, charged.entry):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, entry=entry: tx.ledger.append(entry))  # type: ignore[misc]
        assert len(await store.read(lambda snapshot: snapshot.ledger.of_wallet(PURSE, limit=10))) == 2


class TestConversations:
    async def test_are_out_of_sight_once_deleted(self, store: Store) -> None:
        talk = conversation()

        def work(tx: Transaction) -> Any:
            locked = tx.conversations.lock(TALK)
            talk.delete(at=later(1))
            tx.conversations.save(talk)
            return locked, tx.conversations.lock(TALK), tx.conversations.get(TALK)

        assert await store.write(work) == (conversation(), None, None)
        assert await store.read(lambda snapshot: snapshot.conversations.of_user(ALICE, after=None, limit=9)) == []
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.conversations.save(conversation("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.conversations.add(conversation()))

    async def test_those_that_are_not_listed_are_found_by_id_alone(self, store: Store) -> None:
        unlisted = conversation("unlisted", listed=False)
        await store.write(lambda tx: tx.conversations.add(unlisted))
        assert await store.read(lambda snapshot: snapshot.conversations.get(unlisted.id)) == unlisted
        assert await store.write(lambda tx: tx.conversations.lock(unlisted.id)) == unlisted
        listed = await store.read(lambda snapshot: snapshot.conversations.of_user(ALICE, after=None, limit=9))
        assert listed == [conversation()]

    async def test_are_touched_by_their_owner_alone_and_never_back_in_time(self, store: Store) -> None:
        await write(store, lambda tx: tx.conversations.touch(TALK, ALICE, at=later(5)))
        await write(store, lambda tx: tx.conversations.touch(TALK, ALICE, at=later(3)))
        touched = conversation(updated_at=later(5))
        assert await store.read(lambda snapshot: snapshot.conversations.get(TALK)) == touched
        for conversation_id, who in ((TALK, UserId("bob")), (ConversationId("none"), ALICE)):
            with pytest.raises(NotFound):
                await store.write(lambda tx: tx.conversations.touch(conversation_id, who, at=later(9)))  # noqa: B023
        await store.write(lambda tx: tx.conversations.save(conversation(deleted_at=later(7))))
        with pytest.raises(NotFound):
            await store.write(lambda tx: tx.conversations.touch(TALK, ALICE, at=later(9)))

    async def test_come_in_pages_the_one_updated_last_first_even_where_times_are_equal(self, store: Store) -> None:
        rows = [conversation(f"c{n}", updated_at=later(n // 3), title=f"Title {n}") for n in range(10)]
        await write(store, *(lambda tx, row=row: tx.conversations.add(row) for row in rows))
        expected = sorted([conversation(), *rows], key=lambda row: (row.updated_at, row.id), reverse=True)
        found: list[Any] = []
        after = None
        while page := await store.read(
            lambda snapshot: snapshot.conversations.of_user(ALICE, after=after, limit=2)  # noqa: B023
        ):
            found += page
            after = Position(page[-1].updated_at, page[-1].id)
        assert found == expected


def fill(tx: Transaction, count: int = 10) -> list[Interaction]:
    """Interactions of Alice's, three a second, of which the even ones are completed and the odd ones run."""
    for number in range(count):
        model = ModelId("demo-mini" if number % 4 else "demo-pro")
        add_running(tx, f"i{number}", created_at=later(number // 3), prompt=f"Prompt {number}", model=model)
        if number % 2 == 0:
            charge(tx, f"i{number}", reply=f"Reply {number}")
    rows = [tx.interactions.get(InteractionId(f"i{number}")) for number in range(count)]
    return sorted((row for row in rows if row), key=lambda row: (row.created_at, row.id), reverse=True)


class TestWriteChecks:
    async def test_leave_nothing_behind_whoever_writes_them_at_once(self, store: Store) -> None:
        async def check(number: int) -> None:
            await store.write(lambda tx: tx.write_checks.write(f"check-{number % 5}"))

        await asyncio.gather(*map(check, range(20)))
        await write(store, *(lambda tx: tx.write_checks.write("again") for _ in range(2)))


class TestInteractions:
    async def test_come_back_as_they_went_in_and_as_they_ended(self, store: Store) -> None:
        await store.write(add_running)
        assert await store.read(lambda snapshot: snapshot.interactions.get(InteractionId("first"))) == interaction()
        await store.write(charge)
        ended = await store.read(lambda snapshot: snapshot.interactions.get(InteractionId("first")))
        assert ended is not None
        assert (ended.outcome, ended.reply, ended.credits_charged, ended.balance_after) == (
            Outcome.COMPLETED,
            "Paris.",
            4,
            96,
        )
        assert (ended.finished_at, ended.processing_time_ms, ended.usage.completion_tokens) == (later(2), 2_000, 2)

    async def test_end_once(self, store: Store) -> None:
        await store.write(add_running)
        await store.write(charge)
        with pytest.raises(AlreadySettled):
            await store.write(lambda tx: tx.interactions.save(interaction()))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.interactions.save(interaction("none")))
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.interactions.add(interaction()))

    async def test_turns_are_the_last_replies_oldest_first(self, store: Store) -> None:
        await store.write(fill)
        turns = await store.read(lambda snapshot: snapshot.interactions.turns(TALK, limit=2))
        assert turns == [
            Turn(Role.USER, "Prompt 6"),
            Turn(Role.ASSISTANT, "Reply 6"),
            Turn(Role.USER, "Prompt 8"),
            Turn(Role.ASSISTANT, "Reply 8"),
        ]
        assert len(await store.read(lambda snapshot: snapshot.interactions.turns(TALK, limit=99))) == 10

    async def test_empty_and_failed_replies_are_no_turns(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            add_running(tx, "empty")
            charge(tx, "empty", reply="")
            add_running(tx, "failed")
            failed = interaction("failed")
            failed = failed.ended(
                Outcome.FAILED, at=later(1), reply="Par", usage=failed.usage, credits_charged=0, balance_after=96
            )
            tx.interactions.save(failed)

        await store.write(work)
        assert await store.read(lambda snapshot: snapshot.interactions.turns(TALK, limit=9)) == []

    async def test_one_knows_whether_a_reply_is_being_written(self, store: Store) -> None:
        await store.write(add_running)
        assert await store.read(lambda snapshot: snapshot.interactions.is_running_in(TALK))
        assert not await store.read(lambda snapshot: snapshot.interactions.is_running_in(ConversationId("talk-bob")))
        await store.write(charge)
        assert not await store.read(lambda snapshot: snapshot.interactions.is_running_in(TALK))

    async def test_that_were_asked_to_stop_are_found_among_those_one_asks_about(self, store: Store) -> None:
        def fill_and_ask(tx: Transaction) -> None:
            for name in ("first", "second", "third", "it's"):
                add_running(tx, name)
            for name in ("first", "third", "it's", "none"):
                tx.interactions.ask_to_stop(InteractionId(name), at=later(1))

        await store.write(fill_and_ask)
        every = list(map(InteractionId, ("first", "second", "third", "it's", "none", "", '"], [')))
        asked = await store.read(lambda snapshot: snapshot.interactions.asked_to_stop(every))
        assert sorted(asked) == ["first", "it's", "third"]
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop(every[1:3])) == ["third"]
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop([])) == []
        many = [InteractionId(f"other-{number}") for number in range(5_000)]
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop([*many, every[0]])) == ["first"]

    async def test_are_asked_to_stop_only_while_they_run_and_asking_again_changes_nothing(self, store: Store) -> None:
        def ask(tx: Transaction) -> None:
            tx.interactions.ask_to_stop(InteractionId("first"), at=later(1))
            tx.interactions.ask_to_stop(InteractionId("first"), at=later(2))

        first = [InteractionId("first")]
        await write(store, add_running, charge, ask)
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop(first)) == []
        await write(store, lambda tx: add_running(tx, "second"))
        second = [InteractionId("second")]
        for moment in (later(1), later(2)):
            await write(store, lambda tx, at=moment: tx.interactions.ask_to_stop(second[0], at=at))  # type: ignore[misc]
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop(second)) == second
        await write(store, lambda tx: charge(tx, "second"))
        assert await store.read(lambda snapshot: snapshot.interactions.asked_to_stop(second)) == []
        ended = await store.read(lambda snapshot: snapshot.interactions.get(second[0]))
        assert ended
        assert ended.outcome is Outcome.COMPLETED

    async def test_an_interaction_that_was_asked_to_stop_is_what_it_was(self, store: Store) -> None:
        await write(store, add_running, lambda tx: tx.interactions.ask_to_stop(InteractionId("first"), at=later(1)))
        assert await store.read(lambda snapshot: snapshot.interactions.get(InteractionId("first"))) == interaction()
        [due] = await store.read(lambda snapshot: snapshot.holds.due(later(60), 1))
        assert due.subject == interaction().subject

    @pytest.mark.parametrize("size", [1, 3, 4])
    async def test_come_in_pages_newest_first_even_where_times_are_equal(self, store: Store, size: int) -> None:
        expected = await store.write(fill)
        for by_user in (True, False):
            found: list[Interaction] = []
            after: Position | None = None
            while True:

                def query(snapshot: Snapshot, after: Position | None = after, by_user: bool = by_user) -> Any:
                    rows = snapshot.interactions
                    if by_user:
                        return rows.history(ALICE, HistoryFilter(), after=after, limit=size)
                    return rows.of_conversation(TALK, after=after, limit=size)

                page = await store.read(query)
                if not page:
                    break
                found += page
                after = Position(page[-1].created_at, page[-1].id)
            assert found == expected

    async def test_a_position_may_be_given_in_any_time_zone(self, store: Store) -> None:
        expected = await store.write(fill)
        row = expected[3]
        far = (timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), UTC)
        for zone in far:
            after = Position(row.created_at.astimezone(zone), row.id)
            page = await store.read(
                lambda snapshot, after=after: snapshot.interactions.history(  # type: ignore[misc]
                    ALICE, HistoryFilter(), after=after, limit=3
                )
            )
            assert page == expected[4:7]

    async def test_moments_at_the_ends_of_time_are_no_trouble(self, store: Store) -> None:
        await store.write(fill)
        east, west = timezone(timedelta(hours=23)), timezone(timedelta(hours=-23))
        period = Period(start=datetime(1, 1, 1, tzinfo=east), end=datetime(9999, 12, 31, 23, tzinfo=west))
        found = await store.read(
            lambda snapshot: snapshot.interactions.history(ALICE, HistoryFilter(period=period), after=None, limit=99)
        )
        assert len(found) == 10

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            (HistoryFilter(), 10),
            (HistoryFilter(model=ModelId("demo-pro")), 3),
            (HistoryFilter(model=ModelId("unknown")), 0),
            (HistoryFilter(period=Period(start=later(1))), 7),
            (HistoryFilter(period=Period(end=later(1))), 3),
            (HistoryFilter(period=Period(start=later(1), end=later(2)), model=ModelId("demo-pro")), 1),
            (HistoryFilter(text="rEPLY"), 5),
            (HistoryFilter(text="prompt 7"), 1),
            (HistoryFilter(text="%"), 0),
            (HistoryFilter(text="_"), 0),
            (HistoryFilter(text="'"), 0),
            (HistoryFilter(text=""), 10),
            (HistoryFilter(text="\ud800"), 0),
            (HistoryFilter(text="reply", period=Period(start=later(1)), model=ModelId("demo-pro")), 2),
        ],
    )
    async def test_history_obeys_every_filter(self, store: Store, filters: HistoryFilter, expected: int) -> None:
        await store.write(fill)
        found = await store.read(lambda snapshot: snapshot.interactions.history(ALICE, filters, after=None, limit=99))
        assert len(found) == expected

    @pytest.mark.parametrize(
        ("prompt", "needle"),
        [("ÄRGER", "ärger"), ("straße", "STRASSE"), ("100 % sure", "0 % S"), ("a_b", "A_B"), ("ΣΊΣΥΦΟΣ", "σίσυφος")],
    )
    async def test_text_is_found_whatever_its_letter_case_in_any_alphabet(
        self, store: Store, prompt: str, needle: str
    ) -> None:
        await store.write(lambda tx: add_running(tx, prompt=prompt))
        filters = HistoryFilter(text=needle)
        (found,) = await store.read(lambda snapshot: snapshot.interactions.history(ALICE, filters, after=None, limit=9))
        assert found.prompt == prompt

    async def test_history_is_ones_own_and_leaves_out_deleted_conversations(self, store: Store) -> None:
        await store.write(add_running)
        assert (
            await store.read(lambda snapshot: snapshot.interactions.history(BOB, HistoryFilter(), after=None, limit=9))
            == []
        )
        await store.write(lambda tx: tx.conversations.save(conversation(deleted_at=later(1))))
        assert (
            await store.read(
                lambda snapshot: snapshot.interactions.history(ALICE, HistoryFilter(), after=None, limit=9)
            )
            == []
        )

    async def test_erasing_texts_leaves_the_figures(self, store: Store) -> None:
        def work(tx: Transaction) -> Any:
            rows = fill(tx, 4)
            tx.interactions.erase_texts(TALK)
            return rows

        before = await store.write(work)
        after = await store.read(lambda snapshot: snapshot.interactions.of_conversation(TALK, after=None, limit=9))
        assert after == [replace(row, prompt="", reply="") for row in before]


class TestPayments:
    async def test_are_confirmed_once(self, store: Store) -> None:
        confirmed = payment().confirmed(at=later(1), balance_after=200)

        def work(tx: Transaction) -> Any:
            tx.payments.add(payment())
            locked = tx.payments.lock(PaymentId("payment"))
            tx.payments.save(confirmed)
            return locked

        assert await store.write(work) == payment()
        assert await store.read(lambda snapshot: snapshot.payments.get(PaymentId("payment"))) == confirmed
        assert await store.read(lambda snapshot: snapshot.payments.get(PaymentId("none"))) is None
        for again in (confirmed, payment(), payment("none")):
            with pytest.raises(InvariantViolation):
                await store.write(lambda tx, again=again: tx.payments.save(again))  # type: ignore[misc]
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx: tx.payments.add(payment()))

    @pytest.mark.parametrize("amount", ["0.00", "0.01", "4.99", "9999999999.99"])
    async def test_keep_their_price_to_the_cent(self, store: Store, amount: str) -> None:
        paid = payment(price=Money(Decimal(amount), "JPY"))
        await store.write(lambda tx: tx.payments.add(paid))
        stored = await store.read(lambda snapshot: snapshot.payments.get(paid.id))
        assert stored == paid
        assert str(stored.price.amount) == amount


class TestIdempotency:
    async def test_a_key_is_claimed_once_by_each_person(self, store: Store) -> None:
        first = IdempotencyRecord(user_id=ALICE, key="k", fingerprint="f", created_at=NOON, subject_id="s")
        second = replace(first, fingerprint="g", subject_id=None, refusal=Refusal(required=5, available=1))
        other = replace(second, user_id=BOB, refusal=Refusal(required=5, available=1, cap=10))
        assert await store.write(lambda tx: tx.idempotency.claim(first)) is None
        assert await store.write(lambda tx: tx.idempotency.claim(second)) == first
        assert await store.write(lambda tx: tx.idempotency.claim(other)) is None
        assert await store.read(lambda snapshot: snapshot.idempotency.get(ALICE, "k")) == first
        assert await store.read(lambda snapshot: snapshot.idempotency.get(BOB, "k")) == other
        assert await store.read(lambda snapshot: snapshot.idempotency.get(BOB, "l")) is None

    async def test_a_key_is_free_again_when_the_transaction_that_claimed_it_failed(self, store: Store) -> None:
        record = IdempotencyRecord(user_id=ALICE, key="k", fingerprint="f", created_at=NOON, subject_id="s")

        def work(tx: Transaction) -> None:
            assert tx.idempotency.claim(record) is None
            raise LookupError

        with pytest.raises(LookupError):
            await store.write(work)
        assert await store.write(lambda tx: tx.idempotency.claim(record)) is None


class TestBooks:
    async def test_are_read_in_the_order_the_audit_asks_for(self, store: Store) -> None:
        await store.write(fill)
        await store.write(lambda tx: add_running(tx, "of-bob", user_id=BOB, wallet_id=WalletId("wallet-bob")))

        def query(snapshot: Snapshot) -> tuple[list[Any], ...]:
            books = snapshot.audit
            return list(books.wallets()), list(books.entries()), list(books.settlements()), list(books.unheld())

        wallets, entries, settlements, unheld = await store.read(query)
        assert [wallet.id for wallet in wallets] == ["wallet-alice", "wallet-bob"]
        places = [(entry.wallet_id, entry.wallet_version) for entry in entries]
        assert places == [*((PURSE, version) for version in range(1, 7)), ("wallet-bob", 1)]
        assert [row.wallet_id for row in settlements] == [PURSE] * 10 + ["wallet-bob"]
        assert sum(row.charges for row in settlements) == 5
        assert sum(row.charged for row in settlements) == sum(row.captured for row in settlements) == 20
        assert unheld == []


async def test_an_interaction_stays_cached_or_not(store: Store) -> None:
    await store.write(lambda tx: add_running(tx, cached=True))
    assert await store.read(lambda snapshot: snapshot.interactions.get(interaction().id)) == interaction(cached=True)
    await store.write(charge)
    ended = await store.read(lambda snapshot: snapshot.interactions.get(interaction().id))
    assert ended
    assert ended.cached
