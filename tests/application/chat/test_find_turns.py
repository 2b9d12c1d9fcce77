from __future__ import annotations

from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId
from tests.kit.support import MINI, World, world


async def said(here: World, person: Principal, text: str) -> InteractionId:
    reply = await here.use_cases.chat.send_message(person, Message(model=MINI, text=text))
    await reply.finished()
    return reply.accepted.interaction_id


async def found(here: World, person: Principal, *ids: str) -> dict[InteractionId, Interaction]:
    return await here.use_cases.chat.find_turns(person, map(InteractionId, ids))


async def test_ones_own_turns_are_found_by_their_ids() -> None:
    here = world()
    alice = await here.person()
    first, second = await said(here, alice, "One"), await said(here, alice, "Two")
    turns = await found(here, alice, second, first, "none", second)
    assert {each: turn.prompt for each, turn in turns.items()} == {first: "One", second: "Two"}
    assert await found(here, alice) == {}


async def test_turns_of_others_and_of_deleted_conversations_are_left_out() -> None:
    here = world()
    alice, bob = await here.person(), await here.person("bob")
    hers, his = await said(here, alice, "Hers"), await said(here, bob, "His")
    assert list(await found(here, alice, hers, his)) == [hers]
    (turn,) = (await found(here, alice, hers)).values()
    await here.use_cases.chat.delete_conversation(alice, turn.conversation_id)
    assert await found(here, alice, hers) == {}


async def test_at_most_a_hundred_are_looked_for() -> None:
    here = world()
    alice = await here.person()
    one = await said(here, alice, "One")
    others = [f"other-{number}" for number in range(100)]
    assert list(await found(here, alice, *others[:99], one)) == [one]
    assert await found(here, alice, *others, one) == {}
