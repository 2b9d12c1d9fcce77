"""Slots of llama.cpp are shared out so that nothing is reused across owners."""

from __future__ import annotations

import asyncio

import pytest

from chatbill.adapters.inference.llama_cpp.slots import Messages, OwnedSlots, Place
from chatbill.domain.shared.ids import UserId

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


def talk(*texts: str, system: str = "") -> Messages:
    turns = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]
    return [*([{"role": "system", "content": system}] if system else []), *turns]


async def use(slots: OwnedSlots, owner: UserId | None, messages: Messages) -> Place:
    async with slots.taken(owner, messages) as place:
        return place


async def test_a_conversation_returns_to_its_slot_and_reuses_it() -> None:
    slots = OwnedSlots(3)
    first = await use(slots, ALICE, talk("one"))
    other = await use(slots, ALICE, talk("another conversation"))
    again = await use(slots, ALICE, talk("one", "reply", "two"))

    assert first.number != other.number
    assert again == Place(first.number, reuse=True)


async def test_nothing_is_reused_for_another_owner_or_without_one() -> None:
    slots = OwnedSlots(1)
    places = [await use(slots, owner, talk("one")) for owner in (ALICE, BOB, BOB, None, None, ALICE)]

    assert [place.reuse for place in places] == [False, False, True, False, False, False]


async def test_the_longest_unused_slot_is_taken_and_one_without_an_owner_first() -> None:
    slots = OwnedSlots(3)
    alice, nobody, bob = [await use(slots, owner, talk(str(owner))) for owner in (ALICE, None, BOB)]

    assert (await use(slots, CAROL, talk("new"))).number == nobody.number
    assert (await use(slots, None, talk("new"))).number == alice.number
    assert (await use(slots, BOB, talk("bob", "reply", "more"))).number == bob.number


async def test_a_system_prompt_alone_makes_no_conversation() -> None:
    slots = OwnedSlots(2)
    first = await use(slots, ALICE, talk("one", system="Be kind."))
    other = await use(slots, ALICE, talk("two", system="Be kind."))

    assert first.number != other.number


async def test_a_busy_slot_is_not_given_to_a_second_request() -> None:
    slots = OwnedSlots(1)
    async with slots.taken(ALICE, talk("one")):
        waiting = asyncio.create_task(use(slots, ALICE, talk("one", "reply", "two")))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting).reuse


@pytest.mark.parametrize("count", [1, 4])
async def test_requests_never_hold_more_slots_than_there_are(count: int) -> None:
    slots, held, most = OwnedSlots(count), set[int](), 0

    async def hold(owner: str) -> None:
        nonlocal most
        async with slots.taken(UserId(owner), talk(owner)) as place:
            assert place.number not in held
            held.add(place.number)
            most = max(most, len(held))
            await asyncio.sleep(0)
            held.remove(place.number)

    await asyncio.gather(*(hold(str(number % 5)) for number in range(20)))
    assert most == count
