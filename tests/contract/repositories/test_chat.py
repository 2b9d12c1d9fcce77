"""The repositories of conversations and interactions, on every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.application.ports.store import Snapshot, Store, Transaction
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.branches import Node
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.errors import AlreadySettled, InvariantViolation, NotFound
from chatbill.domain.shared.ids import ConversationId, InteractionId, ModelId, UserId
from tests.contract.repositories.changes import fill, write
from tests.kit.rows import ALICE, BOB, TALK, add_running, charge, conversation, interaction, later


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

    async def test_those_that_are_pinned_are_listed_by_themselves(self, store: Store) -> None:
        pinned = conversation("pinned", pinned=True)
        await store.write(lambda tx: tx.conversations.add(conversation("pinned")))
        await store.write(lambda tx: tx.conversations.save(pinned))

        def query(snapshot: Snapshot) -> list[Any]:
            of_user = snapshot.conversations.of_user
            return [of_user(ALICE, pinned=wanted, after=None, limit=9) for wanted in (True, False)]

        assert await store.read(query) == [[pinned], [conversation()]]

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

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("A TALK", ["talk"]),
            ("FRANCE", ["talk"]),
            ("straße", ["street", "talk"]),
            ("STRASSE", ["street", "talk"]),
            ("%", []),
            ("talk_", []),
            ("nothing of the kind", []),
            ("secret", []),
        ],
    )
    async def test_are_found_by_their_titles_and_their_texts(self, store: Store, text: str, found: list[str]) -> None:
        def work(tx: Transaction) -> None:
            add_running(tx)
            done = tx.interactions.get(InteractionId("first"))
            assert done
            ended = done.ended(
                Outcome.COMPLETED, at=later(2), reply="In der Straße", usage=Usage(), credits_charged=0, balance_after=0
            )
            tx.interactions.save(ended)
            tx.conversations.add(conversation("street", title="Straße", updated_at=later(5)))
            tx.conversations.add(conversation("gone", title="secret", deleted_at=later(1)))
            tx.conversations.add(conversation("hidden", title="secret", listed=False))

        await store.write(work)
        rows = await store.read(lambda snapshot: snapshot.conversations.of_user(ALICE, text=text, after=None, limit=9))
        assert [row.id for row in rows] == found
        first = await store.read(lambda snapshot: snapshot.conversations.of_user(ALICE, text=text, after=None, limit=1))
        assert first == rows[:1]
        for row in first:
            after = Position(row.updated_at, row.id)
            assert rows[1:] == await store.read(
                lambda snapshot: snapshot.conversations.of_user(ALICE, text=text, after=after, limit=9)  # noqa: B023
            )
        others = await store.read(lambda snapshot: snapshot.conversations.of_user(BOB, text=text, after=None, limit=9))
        assert {row.user_id for row in others} <= {BOB}

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


class TestBranches:
    async def test_interactions_keep_what_they_follow(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            add_running(tx, "a")
            add_running(tx, "b", parent_id=InteractionId("b"), created_at=later(1))
            add_running(tx, "c", parent_id=InteractionId("a"), created_at=later(2))
            tx.conversations.branch(TALK)

        await store.write(work)

        def query(snapshot: Snapshot) -> list[Any]:
            interactions = snapshot.interactions
            return [
                interactions.nodes(TALK, limit=9),
                interactions.nodes(TALK, limit=2),
                interactions.before(TALK),
                interactions.before(TALK, Position(later(2), "c")),
                interactions.before(TALK, Position(later(0), "a")),
                interactions.before(ConversationId("none")),
                snapshot.conversations.get(TALK),
            ]

        a, b, c = (
            Node(InteractionId("a")),
            Node(InteractionId("b"), InteractionId("b")),
            Node(InteractionId("c"), InteractionId("a")),
        )
        branched = conversation(branched=True)
        assert await store.read(query) == [[c, b, a], [c, b], "c", "b", None, None, branched]

    async def test_the_turns_of_some_interactions_come_oldest_first(self, store: Store) -> None:
        def work(tx: Transaction) -> None:
            for number, name in enumerate("abcd"):
                add_running(tx, name, created_at=later(number), prompt=name)
                running = tx.interactions.get(InteractionId(name))
                assert running
                outcome = Outcome.FAILED if name == "c" else Outcome.COMPLETED
                ended = running.ended(
                    outcome, at=later(9), reply=name.upper(), usage=Usage(), credits_charged=0, balance_after=0
                )
                tx.interactions.save(ended)

        await store.write(work)
        path = [InteractionId(name) for name in "dca"]
        turns = await store.read(lambda snapshot: snapshot.interactions.turns_of(path, limit=9))
        assert [turn.text for turn in turns] == ["a", "A", "d", "D"]
        for bounds in ({"limit": 1}, {"limit": 9, "max_bytes": 2}):
            turns = await store.read(lambda snapshot: snapshot.interactions.turns_of(path, **bounds))  # noqa: B023
            assert [turn.text for turn in turns] == ["d", "D"]
        assert await store.read(lambda snapshot: snapshot.interactions.turns_of([], limit=9)) == []


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
        assert await store.read(lambda snapshot: snapshot.interactions.count_replies(TALK)) == 5
        assert await store.read(lambda snapshot: snapshot.interactions.spent_in(TALK)) == 20

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
        assert await store.read(lambda snapshot: snapshot.interactions.count_replies(ConversationId("none"))) == 0
        assert await store.read(lambda snapshot: snapshot.interactions.spent_in(ConversationId("none"))) == 0
        assert await store.read(lambda snapshot: snapshot.interactions.spent_in(TALK)) == 4

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

    async def test_end_with_the_first_that_does_not_fit(self, store: Store) -> None:
        expected = await store.write(fill)
        two = expected[0].text_bytes() + expected[1].text_bytes()
        for max_bytes, count in ((0, 2), (two - 1, 2), (two, 3), (10**9, 10)):
            for by_user in (True, False):

                def query(snapshot: Snapshot, most: int = max_bytes, by_user: bool = by_user) -> list[Interaction]:
                    rows = snapshot.interactions
                    if by_user:
                        return rows.history(ALICE, HistoryFilter(), after=None, limit=99, max_bytes=most)
                    return rows.of_conversation(TALK, after=None, limit=99, max_bytes=most)

                assert await store.read(query) == expected[:count]

    async def test_turns_have_a_size(self, store: Store) -> None:
        await store.write(fill)
        size = len("Prompt 8Reply 8")
        for max_bytes, count in ((0, 1), (2 * size - 1, 1), (2 * size, 2), (10**9, 5)):
            turns = await store.read(
                lambda snapshot, most=max_bytes: snapshot.interactions.turns(  # type: ignore[misc]
                    TALK, limit=99, max_bytes=most
                )
            )
            assert len(turns) == 2 * count
            assert turns[-1] == Turn(Role.ASSISTANT, "Reply 8")

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
            (HistoryFilter(outcome=Outcome.COMPLETED), 5),
            (HistoryFilter(outcome=Outcome.RUNNING, model=ModelId("demo-pro")), 0),
            (HistoryFilter(outcome=Outcome.FAILED), 0),
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


async def test_an_interaction_stays_cached_or_not(store: Store) -> None:
    await store.write(lambda tx: add_running(tx, cached=True))
    assert await store.read(lambda snapshot: snapshot.interactions.get(interaction().id)) == interaction(cached=True)
    await store.write(charge)
    ended = await store.read(lambda snapshot: snapshot.interactions.get(interaction().id))
    assert ended
    assert ended.cached
