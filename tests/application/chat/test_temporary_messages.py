"""Temporary messages: their texts are stored nowhere, and their figures are."""

from __future__ import annotations

import pytest

from chatbill.application.chat.events import Completed, Failed
from chatbill.application.chat.messages import Message
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import Conflict, InvalidRequest, TooLarge
from tests.kit.chat import events_of, scene
from tests.kit.support import MINI


async def test_the_reply_is_given_to_its_sender_and_no_text_is_stored() -> None:
    here = await scene()
    chat = here.world.use_cases.chat
    reply = await here.send("my secret", temporary=True, idempotency_key="k")
    here.engine.last.say("Your secret is safe")
    here.engine.last.end()
    end = (await events_of(reply))[-1]
    assert isinstance(end, Completed)
    assert end.interaction.reply == "Your secret is safe"
    [row] = (await chat.list_history(here.alice)).items
    assert (row.prompt, row.reply, row.temporary, row.credits_charged) == ("", "", True, 1)
    assert (await chat.list_conversations(here.alice)).items == []
    thread = await chat.read_conversation(here.alice, row.conversation_id)
    assert "secret" not in thread.conversation.title
    assert (await chat.list_history(here.alice)).items == [row]
    await here.assert_books_agree()


async def test_what_was_said_before_is_read_and_not_stored() -> None:
    here = await scene()
    said = (Turn(Role.USER, "I am Ada"), Turn(Role.ASSISTANT, "Hello Ada"))
    reply = await here.send("Who am I?", temporary=True, history=said)
    assert [turn.text for turn in here.engine.last.request.turns] == ["I am Ada", "Hello Ada", "Who am I?"]
    assert here.engine.last.request.temporary
    await reply.abandon()


async def test_a_reply_that_is_longer_than_any_message_can_be_read_again() -> None:
    here = await scene()
    most = here.world.policy.bounds.max_message_chars
    said = (Turn(Role.USER, "Tell me"), Turn(Role.ASSISTANT, "x" * (most + 1)))
    reply = await here.send("And then?", temporary=True, history=said)
    await reply.abandon()
    with pytest.raises(TooLarge):
        await here.send("And then?", temporary=True, history=(Turn(Role.USER, "x" * (most + 1)),))


async def test_one_that_failed_leaves_no_text_either() -> None:
    here = await scene()
    reply = await here.send("my secret", temporary=True)
    here.engine.last.say("Your")
    here.engine.last.fail(RuntimeError("broken"))
    assert isinstance((await events_of(reply))[-1], Failed)
    [row] = (await here.world.use_cases.chat.list_history(here.alice)).items
    assert (row.prompt, row.reply, row.credits_charged) == ("", "", 0)


async def test_one_that_a_stop_would_hide_is_stopped_at_once_and_free() -> None:
    here = await scene()
    reply = await here.send("my secret", temporary=True)
    here.engine.last.say("Your")
    await here.world.use_cases.chat.replies.drain(grace_s=60)
    end = await reply.finished()
    assert isinstance(end, Failed)
    assert (end.interaction.outcome, end.interaction.credits_charged) == (Outcome.INTERRUPTED, 0)


async def test_the_key_of_one_keeps_no_digest_of_its_text() -> None:
    one, other = (Message(model=MINI, text=text, temporary=True) for text in ("yes", "no"))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != Message(model=MINI, text="yes").fingerprint


async def test_one_cannot_continue_a_stored_conversation_or_be_answered_again() -> None:
    here = await scene()
    first = await here.send("hello")
    here.engine.last.say("Hi")
    here.engine.last.end()
    await first.finished()
    with pytest.raises(InvalidRequest):
        await here.send("my secret", temporary=True, conversation_id=first.accepted.conversation_id)
    brief = await here.send("my secret", temporary=True)
    here.engine.last.say("Hi")
    here.engine.last.end()
    await brief.finished()
    again = Message(model="", text="")
    with pytest.raises(Conflict):
        await here.world.use_cases.chat.regenerate(here.alice, brief.accepted.interaction_id, again)
