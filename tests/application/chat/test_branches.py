"""Messages that follow another one than the newest, and replies that are written again."""

from __future__ import annotations

import pytest

from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.domain.shared.errors import Conflict, IdempotencyMismatch, InvalidRequest, NotFound, RequestInProgress
from chatbill.domain.shared.ids import ConversationId, InteractionId
from tests.kit.chat import Scene, events_of, scene


async def said(here: Scene, text: str, **more: object) -> Reply:
    """Send a message, and answer it with its text in capitals."""
    reply = await here.send(text, **more)  # type: ignore[arg-type]
    return await answered(here, reply)


async def answered(here: Scene, reply: Reply) -> Reply:
    here.engine.last.say(here.engine.last.request.turns[-1].text.upper())
    here.engine.last.end()
    await events_of(reply)
    return reply


async def regenerated(here: Scene, reply: Reply, *, model: str = "") -> Reply:
    again = await here.world.use_cases.chat.regenerate(
        here.alice, reply.accepted.interaction_id, Message(model=model, text="")
    )
    assert isinstance(again, Reply)
    return await answered(here, again)


def read_by_the_model(here: Scene) -> str:
    return " ".join(turn.text for turn in here.engine.last.request.turns)


async def tree(here: Scene, conversation_id: ConversationId) -> dict[str, str | None]:
    """Each prompt with its number, and the one that it follows, from the oldest to the newest."""
    thread = await here.world.use_cases.chat.read_conversation(here.alice, conversation_id)
    names = {item.id: f"{number} {item.prompt}" for number, item in enumerate(reversed(thread.page.items))}
    return {name: names.get(thread.parents[id_] or InteractionId("")) for id_, name in names.items()}


async def test_a_conversation_without_branches_is_one_line() -> None:
    here = await scene()
    first = await said(here, "a")
    second = await said(here, "b", conversation_id=first.accepted.conversation_id)
    end = await second.finished()

    assert read_by_the_model(here) == "a A b"
    assert end.parent_id == first.accepted.interaction_id  # type: ignore[union-attr]
    assert (await first.finished()).parent_id is None  # type: ignore[union-attr]
    assert await tree(here, first.accepted.conversation_id) == {"0 a": None, "1 b": "0 a"}


async def test_a_reply_is_written_again_beside_the_first_one_and_costs_as_much() -> None:
    here = await scene()
    first = await said(here, "a")
    second = await said(here, "b", conversation_id=first.accepted.conversation_id)
    again = await regenerated(here, second, model="demo-pro")

    assert read_by_the_model(here) == "a A b"
    assert again.accepted.model == "demo-pro"
    assert await tree(here, first.accepted.conversation_id) == {"0 a": None, "1 b": "0 a", "2 b": "0 a"}
    assert (await here.wallet()).posted == 100 - 1 - 1 - 3
    await said(here, "c", conversation_id=first.accepted.conversation_id)
    assert read_by_the_model(here) == "a A b B c"
    await here.assert_books_agree()


async def test_the_first_message_is_answered_again_and_edited() -> None:
    here = await scene()
    first = await said(here, "a")
    talk = first.accepted.conversation_id
    await regenerated(here, first)
    assert read_by_the_model(here) == "a"
    await said(here, "x", conversation_id=talk, parent_id=talk)
    assert read_by_the_model(here) == "x"
    await said(here, "y", conversation_id=talk)

    assert read_by_the_model(here) == "x X y"
    assert await tree(here, talk) == {"0 a": None, "1 a": None, "2 x": None, "3 y": "2 x"}


async def test_a_message_follows_the_one_that_it_names() -> None:
    here = await scene()
    first = await said(here, "a")
    talk = first.accepted.conversation_id
    second = await said(here, "b", conversation_id=talk)
    await said(here, "c", conversation_id=talk, parent_id=first.accepted.interaction_id)
    assert read_by_the_model(here) == "a A c"
    await said(here, "d", conversation_id=talk, parent_id=second.accepted.interaction_id)
    assert read_by_the_model(here) == "a A b B d"
    assert await tree(here, talk) == {"0 a": None, "1 b": "0 a", "2 c": "0 a", "3 d": "1 b"}


async def test_a_failed_reply_on_a_branch_is_not_read_by_the_model() -> None:
    here = await scene()
    first = await said(here, "a")
    talk = first.accepted.conversation_id
    failed = await here.send("b", conversation_id=talk, parent_id=first.accepted.interaction_id)
    here.engine.last.fail(RuntimeError())
    await events_of(failed)
    await said(here, "c", conversation_id=talk)

    assert read_by_the_model(here) == "a A c"
    await regenerated(here, failed)
    assert read_by_the_model(here) == "a A b"


async def test_a_repeated_key_tells_the_same_parent() -> None:
    here = await scene()
    first = await said(here, "a")
    talk = first.accepted.conversation_id
    for more in ({}, {"parent_id": first.accepted.interaction_id}, {"parent_id": talk}):
        key = {"idempotency_key": f"key {more}", "conversation_id": talk, **more}
        end = await (await said(here, "b", **key)).finished()
        message = Message(model="demo-mini", text="b", **key)  # type: ignore[arg-type]
        replayed = await (await here.world.use_cases.chat.send_message(here.alice, message)).finished()
        assert replayed == end
        other = Message(model="demo-mini", text="b", **(key | {"parent_id": "other"}))  # type: ignore[arg-type]
        with pytest.raises(IdempotencyMismatch):
            await here.world.use_cases.chat.send_message(here.alice, other)


async def test_nothing_of_another_person_or_conversation_can_be_followed_or_answered_again() -> None:
    here = await scene()
    mine = await said(here, "a")
    other = await said(here, "secret")
    bob = Scene(here.world, here.engine, await here.world.person("bob"))
    talk = mine.accepted.conversation_id
    for parent_id in (other.accepted.interaction_id, other.accepted.conversation_id, "none", ""):
        with pytest.raises(NotFound):
            await here.send("b", conversation_id=talk, parent_id=parent_id)
    with pytest.raises(NotFound):
        await bob.send("b", conversation_id=talk, parent_id=mine.accepted.interaction_id)
    with pytest.raises(NotFound):
        await regenerated(bob, mine)
    with pytest.raises(InvalidRequest):
        await here.send("b", parent_id=mine.accepted.interaction_id)
    await here.world.use_cases.chat.delete_conversation(here.alice, talk)
    with pytest.raises(NotFound):
        await regenerated(here, mine)


async def test_a_reply_that_is_being_written_is_not_written_again() -> None:
    here = await scene()
    running = await here.send("a")
    with pytest.raises(RequestInProgress):
        await regenerated(here, running)
    # Another person is not even told that there is such a reply.
    bob = Scene(here.world, here.engine, await here.world.person("bob"))
    with pytest.raises(NotFound):
        await regenerated(bob, running)
    await answered(here, running)


async def test_a_message_whose_text_was_erased_is_not_answered_again() -> None:
    here = await scene()
    reply = await said(here, "a")
    await here.world.store.write(lambda tx: tx.interactions.erase_texts(reply.accepted.conversation_id))
    with pytest.raises(Conflict):
        await regenerated(here, reply)
