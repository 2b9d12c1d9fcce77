"""Replies that another process writes: two services on one store, with signals between them and without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.events import Completed, Delta, Event, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.chat.remote_replies import RemoteReply
from chatbill.application.chat.replies import Reply
from chatbill.application.chat.reply_signals import REQUESTS
from chatbill.application.ports.signals import LocalSignals
from chatbill.application.shared.principal import Principal
from chatbill.testing import ManualClock
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, World, world
from tests.kit.waiting import eventually


class LossySignals(LocalSignals):
    """Loses every third signal that tells text, and counts them."""

    def __init__(self, *, loses: bool = True) -> None:
        super().__init__()
        self.loses = loses
        self.told: list[str] = []

    async def send(self, topic: str, text: str) -> int:
        if topic != REQUESTS:
            self.told.append(text)
            if self.loses and len(self.told) % 3 == 1:
                return 1
        return await super().send(topic, text)


@dataclass
class Follower:
    """Follows a reply, and keeps what it was told."""

    remote: RemoteReply
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    async def run(self) -> None:
        async for event in self.remote.follow():
            self.events.append(event)


@dataclass
class Scene:
    """Alice's replies are written here and followed there."""

    here: World
    there: World
    engine: ControlledEngine
    signals: LossySignals
    alice: Principal

    async def send(self) -> Reply:
        reply = await self.here.use_cases.chat.send_message(self.alice, Message(model="demo-mini", text="Hello"))
        assert isinstance(reply, Reply)
        return reply

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        (remote,) = await self.there.use_cases.chat.find_remote_replies([self.alice.user_id])
        remote._poll_s = 0.05
        follower = Follower(remote)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
            await asyncio.wait_for(task, 10)
        finally:
            task.cancel()


@pytest.fixture(params=[False, True], ids=["all signals arrive", "signals are lost"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    store, engine, clock, signals = MemoryStore(), ControlledEngine(CATALOGUE), ManualClock(), LossySignals()
    signals.loses = request.param
    here = world(store=store, engine=engine, clock=clock, ids="here", signals=signals)
    there = world(store=store, clock=clock, ids="there", signals=signals)
    telling = asyncio.create_task(here.use_cases.chat.tell_replies())
    await asyncio.sleep(0)
    yield Scene(here, there, engine, signals, await here.person())
    telling.cancel()


async def test_a_reply_is_seen_to_grow_at_another_process(scene: Scene) -> None:
    reply = await scene.send()
    scene.engine.last.say("one ")
    async with scene.following() as follower:
        await eventually(lambda: follower.text == "one ")
        scene.engine.last.say("two")
        await eventually(lambda: follower.text == "one two")
        assert len(follower.events) == 3
        scene.engine.last.say(" three")
        scene.engine.last.end()
    end = await reply.finished()
    assert follower.events[0] == reply.accepted
    assert follower.text == "one two three"
    assert follower.events[-1] == Completed(end.interaction)
    assert follower.remote.settled == end.interaction


async def test_one_who_comes_later_sees_it_from_the_beginning_and_the_other_sees_nothing_twice(scene: Scene) -> None:
    await scene.send()
    scene.engine.last.say("one ")
    async with scene.following() as first:
        await eventually(lambda: first.text == "one ")
        async with scene.following() as second:
            await eventually(lambda: second.text == "one ")
            scene.engine.last.say("two")
            scene.engine.last.end()
    assert first.text == second.text == "one two"


async def test_a_long_reply_is_told_in_parts(scene: Scene) -> None:
    await scene.send()
    text = "0123456789" * 5_000
    scene.engine.last.say(text)
    async with scene.following() as follower:
        await eventually(lambda: follower.text == text)
        scene.engine.last.end()
    assert max(map(len, scene.signals.told)) < 17_000


async def test_a_reply_that_no_process_follows_is_not_told(scene: Scene) -> None:
    reply = await scene.send()
    scene.engine.last.say("one")
    async with scene.following() as follower:
        await eventually(lambda: follower.text == "one")
        scene.engine.last.end()
    before = len(scene.signals.told)
    reply = await scene.send()
    scene.engine.last.say("one")
    scene.engine.last.end()
    await reply.finished()
    assert len(scene.signals.told) == before


async def test_a_stop_at_another_process_works_at_once(scene: Scene) -> None:
    reply = await scene.send()
    scene.engine.last.say("one")
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    assert isinstance(await asyncio.wait_for(reply.finished(), 10), Stopped)


async def test_without_signals_the_end_is_seen() -> None:
    store, engine, clock = MemoryStore(), ControlledEngine(CATALOGUE), ManualClock()
    here = world(store=store, engine=engine, clock=clock, ids="here")
    there = world(store=store, clock=clock, ids="there")
    scene = Scene(here, there, engine, LossySignals(), await here.person())
    reply = await scene.send()
    async with scene.following() as follower:
        scene.engine.last.say("one")
        scene.engine.last.end()
    end = await reply.finished()
    assert follower.events == [reply.accepted, Delta("one", 1), Completed(end.interaction)]


async def test_replies_of_this_process_and_those_that_ended_are_not_found(scene: Scene) -> None:
    reply = await scene.send()
    bob = await scene.here.person("bob")
    assert await scene.here.use_cases.chat.find_remote_replies([scene.alice.user_id]) == []
    assert await scene.there.use_cases.chat.find_remote_replies([bob.user_id]) == []
    assert await scene.there.use_cases.chat.find_remote_replies([]) == []
    reply.stop()
    await reply.finished()
    assert await scene.there.use_cases.chat.find_remote_replies([scene.alice.user_id]) == []


@pytest.mark.parametrize("request_", ["", "stop", "follow", "follow x", "follow x y", "dance", "stop none"])
async def test_a_request_that_makes_no_sense_changes_nothing(scene: Scene, request_: str) -> None:
    reply = await scene.send()
    await scene.signals.send(REQUESTS, request_)
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    assert isinstance(await asyncio.wait_for(reply.finished(), 10), Stopped)
