"""The slots of a model are shared out by owner."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.inference.availability.turns import MAX_REMEMBERED, FairQueue, FairSlots
from chatbill.domain.shared.ids import UserId

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


def order(queue: FairQueue[str], count: int) -> list[str]:
    return [queue.pop() for _ in range(count)]


def test_the_items_of_one_owner_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in "abc":
        queue.push(ALICE, item)

    assert order(queue, 3) == ["a", "b", "c"]


def test_owners_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3"):
        queue.push(ALICE, item)
    for item in ("b1", "b2"):
        queue.push(BOB, item)

    assert order(queue, 5) == ["a1", "b1", "a2", "b2", "a3"]


def test_an_owner_that_comes_later_is_next() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(ALICE, "a1")
    assert queue.pop() == "a1"
    queue.push(ALICE, "a2")
    queue.push(BOB, "b1")

    assert order(queue, 2) == ["b1", "a2"]


def test_an_owner_that_leaves_and_comes_back_does_not_jump_the_queue() -> None:
    queue: FairQueue[str] = FairQueue()
    served = []
    queue.push(ALICE, "a")
    for _ in range(5):
        queue.push(BOB, "b")
        queue.push(CAROL, "c")
        served += order(queue, 2)

    assert "a" in served[:2]


def test_an_item_that_is_removed_gets_no_turn() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push(ALICE, "a1")
    queue.push(BOB, "b1")
    queue.remove(ALICE, "a1")
    queue.remove(ALICE, "a1")

    assert order(queue, 1) == ["b1"]
    assert (len(queue), list(queue)) == (0, [])


def test_an_empty_queue_has_no_turn() -> None:
    with pytest.raises(ValueError, match="empty"):
        FairQueue[str]().pop()


def test_owners_that_left_are_forgotten_in_the_end() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(3 * MAX_REMEMBERED):
        queue.push(UserId(str(number)), "x")
        queue.pop()

    assert len(queue._last_served) == MAX_REMEMBERED


@given(st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=200))
def test_no_owner_waits_for_more_than_one_turn_of_each_other_owner(moves: list[int | None]) -> None:
    """A number is a request of that owner; None is a turn. What is left is served at the end."""
    queue: FairQueue[tuple[int, int]] = FairQueue()
    waiting: Counter[int] = Counter()
    turns_of_others: dict[int, Counter[int]] = {}
    for number, move in enumerate([*moves, *(None,) * len(moves)]):
        if move is not None:
            queue.push(UserId(str(move)), (move, number))
            if not waiting[move]:
                turns_of_others[move] = Counter()
            waiting[move] += 1
        elif queue:
            owner, _ = queue.pop()
            waiting[owner] -= 1
            turns_of_others[owner] = Counter()
            for other in +waiting:
                if other != owner:
                    turns_of_others[other][owner] += 1
                    assert turns_of_others[other][owner] <= 1, f"{other} waited for {owner} twice"
    assert not +waiting


async def test_a_slot_is_handed_to_the_owner_whose_turn_it_is() -> None:
    slots = FairSlots(1)
    first, second, third = slots.request(ALICE), slots.request(ALICE), slots.request(BOB)
    assert (first.done(), second.done(), third.done()) == (True, False, False)
    slots.give_back(ALICE, first)
    assert (second.done(), third.done()) == (False, True)
    slots.give_back(BOB, third)
    assert second.done()


async def test_a_waiter_that_is_given_up_loses_no_slot() -> None:
    slots = FairSlots(1)
    holder, given_up, cancelled, last = (slots.request(ALICE) for _ in range(4))
    slots.give_back(ALICE, given_up)
    waiting = asyncio.ensure_future(cancelled)
    waiting.cancel()
    slots.give_back(ALICE, holder)
    assert last.done()
    assert not cancelled.done() or cancelled.cancelled()
    slots.give_back(ALICE, last)
    slots.give_back(ALICE, cancelled)
    assert slots.request(BOB).done()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=60))
def test_there_are_never_more_holders_than_slots_and_no_slot_is_lost(moves: list[tuple[int, int]]) -> None:
    """Each move is a request of an owner, and one earlier request that ends."""

    async def play() -> None:
        slots, open_turns = FairSlots(2), list[tuple[UserId, asyncio.Future[None]]]()
        for owner, ended in moves:
            key = UserId(str(owner))
            open_turns.append((key, slots.request(key)))
            if ended < len(open_turns):
                slots.give_back(*open_turns.pop(ended))
            assert sum(turn.done() for _, turn in open_turns) == min(2, len(open_turns))

    asyncio.run(play())
