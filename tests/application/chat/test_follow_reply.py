"""Following a reply: its owner sees it grow and end, at any time, and looking costs nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from chatbill.application.chat.events import Completed, Delta, Event, Stopped
from chatbill.application.chat.replies import Reply
from chatbill.application.chat.running_replies import Replies
from chatbill.domain.billing.prices import Usage
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId
from tests.kit.chat import TOKEN_PRICED, Scene, events_of, scene


async def follow(here: Scene, reply: Reply) -> list[Event]:
    events = await here.world.use_cases.chat.follow_reply(here.alice, reply.accepted.interaction_id)
    return [event async for event in events]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def test_a_follower_that_comes_late_sees_the_whole_reply() -> None:
    here = await scene()
    reply = await here.send()
    here.engine.last.say("one")
    here.engine.last.say(" two")
    await here.engine.last.streaming.wait()
    following = asyncio.create_task(follow(here, reply))
    await asyncio.sleep(0)
    here.engine.last.say(" three")
    here.engine.last.end()
    events = await following
    assert events[0] == reply.accepted
    assert text_of(events) == "one two three"
    assert events[-1] == await reply.finished()


async def test_followers_and_the_stream_see_the_same_events() -> None:
    here = await scene()
    reply = await here.send()
    followers = [asyncio.create_task(follow(here, reply)) for _ in range(3)]
    for word in ("one", " two"):
        here.engine.last.say(word, tokens=2)
        await asyncio.sleep(0)
    here.engine.last.end()
    streamed = await events_of(reply)
    assert [await follower for follower in followers] == [streamed] * 3
    assert streamed[1:3] == [Delta("one", 2), Delta(" two", 2)]


async def test_a_follower_that_leaves_lets_the_reply_go_on() -> None:
    here = await scene()
    reply = await here.send()
    here.engine.last.say("one")
    async with aclosing(
        await here.world.use_cases.chat.follow_reply(here.alice, reply.accepted.interaction_id)
    ) as events:
        assert [await anext(events), await anext(events)] == [reply.accepted, Delta("one", 1)]
    here.engine.last.say(" two")
    here.engine.last.end()
    end = await reply.finished()
    assert isinstance(end, Completed)
    assert (end.interaction.reply, end.interaction.credits_charged) == ("one two", 1)


async def test_what_a_follower_has_seen_is_not_charged_to_a_client_that_went_away() -> None:
    here = await scene()
    reply = await here.send(model=TOKEN_PRICED)
    following = await here.world.use_cases.chat.follow_reply(here.alice, reply.accepted.interaction_id)
    here.engine.last.say("seen by the follower", tokens=5)
    assert [await anext(following), await anext(following)] == [reply.accepted, Delta("seen by the follower", 5)]
    await reply.abandon()
    end = await anext(following)
    assert isinstance(end, Stopped)
    assert (end.interaction.usage, end.interaction.credits_charged) == (Usage(prompt_tokens=10), 0)
    await here.assert_books_agree()


async def test_a_reply_that_has_ended_is_followed_from_the_store() -> None:
    here = await scene()
    reply = await here.send()
    here.engine.last.say("one two", tokens=2)
    here.engine.last.end()
    end = await reply.finished()
    assert await follow(here, reply) == [reply.accepted, Delta("one two", 2), Completed(end.interaction)]


async def test_a_reply_of_another_process_is_followed_to_its_end() -> None:
    here = await scene()
    reply = await here.send()
    elsewhere = replace(here.world.use_cases.chat.follow_reply, replies=Replies(), poll_s=0.01)
    events = await elsewhere(here.alice, reply.accepted.interaction_id)
    assert await anext(events) == reply.accepted
    coming = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.05)
    assert not coming.done()
    here.engine.last.say("one")
    here.engine.last.end()
    end = await reply.finished()
    assert [await coming, await anext(events)] == [Delta("one", 1), Completed(end.interaction)]


async def test_replies_of_other_accounts_cannot_be_followed() -> None:
    here = await scene()
    reply = await here.send()
    mallory = await here.world.person("mallory")
    for stranger, interaction_id in ((mallory, reply.accepted.interaction_id), (here.alice, InteractionId("none"))):
        with pytest.raises(NotFound):
            await here.world.use_cases.chat.follow_reply(stranger, interaction_id)
    reply.stop()
    await reply.finished()
