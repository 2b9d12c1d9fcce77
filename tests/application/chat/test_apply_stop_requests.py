"""Stopping a reply by way of another process than the one that writes it: two services on one store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.events import Accepted, Completed, Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import InteractionId
from chatbill.testing import ManualClock
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, World, world

T = TypeVar("T")


class CountingStore:
    """A store in memory that counts what is asked of it."""

    def __init__(self) -> None:
        self._inner = MemoryStore()
        self.reads = self.writes = 0

    async def write(self, work: Callable[[Transaction], T]) -> T:
        self.writes += 1
        return await self._inner.write(work)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        self.reads += 1
        return await self._inner.read(query)

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class Scene:
    """Two services on one store, and Alice, who is signed in at both. Replies are written at the first."""

    store: CountingStore
    engine: ControlledEngine
    here: World
    there: World
    alice: Principal

    async def send(self) -> Reply:
        reply = await self.here.use_cases.chat.send_message(self.alice, Message(model="demo-mini", text="Hello"))
        assert isinstance(reply, Reply)
        return reply

    async def assert_books_agree(self) -> None:
        differences: list[object] = []
        assert (await self.here.use_cases.audit.verify_ledger(differences.append)).agrees, differences


@pytest.fixture
async def scene() -> Scene:
    store, engine, clock = CountingStore(), ControlledEngine(CATALOGUE), ManualClock()
    here = world(store=store, engine=engine, clock=clock, ids="here")
    there = world(store=store, clock=clock, ids="there")
    return Scene(store, engine, here, there, await here.person())


async def test_a_reply_ends_when_its_writer_hears_that_another_service_was_asked_to_stop_it(scene: Scene) -> None:
    reply = await scene.send()
    scene.engine.last.say("one two", tokens=2)
    stream = aiter(reply)
    assert isinstance(await anext(stream), Accepted)
    await anext(stream)
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    assert await scene.there.use_cases.chat.apply_stop_requests() == 0
    assert len(scene.here.use_cases.chat.replies) == 1
    assert await scene.here.use_cases.chat.apply_stop_requests() == 1
    end = await asyncio.wait_for(anext(stream), 1)
    assert isinstance(end, Stopped)
    assert (end.interaction.reply, end.interaction.usage.completion_tokens) == ("one two", 2)
    assert (end.interaction.credits_charged, end.interaction.balance_after) == (1, 99)
    assert scene.engine.last.closed
    await scene.assert_books_agree()


async def test_only_what_was_asked_to_stop_stops_and_only_once(scene: Scene) -> None:
    replies = [await scene.send() for _ in range(3)]
    for _ in range(2):
        await scene.there.use_cases.chat.stop_message(scene.alice, replies[1].accepted.interaction_id)
    assert await scene.here.use_cases.chat.apply_stop_requests() == 1
    assert await scene.here.use_cases.chat.apply_stop_requests() == 0
    assert isinstance(await replies[1].finished(), Stopped)
    assert [len(scene.here.use_cases.chat.replies), *(each.is_stopped for each in replies)] == [2, False, True, False]
    for number in (0, 2):
        scene.engine.generations[number].say("Hi")
        scene.engine.generations[number].end()
        assert isinstance(await replies[number].finished(), Completed)
    await scene.assert_books_agree()


async def test_a_stop_where_the_reply_is_written_works_at_once_and_writes_no_wish(scene: Scene) -> None:
    reply = await scene.send()
    writes = scene.store.writes
    await scene.here.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    assert reply.is_stopped
    assert isinstance(await reply.finished(), Stopped)
    assert scene.store.writes == writes + 1  # the settlement
    assert await asked(scene, reply.accepted.interaction_id) == []


async def test_nothing_is_read_while_nothing_is_written_here(scene: Scene) -> None:
    reply = await scene.send()
    before = scene.store.reads
    await scene.here.use_cases.chat.apply_stop_requests()
    assert scene.store.reads == before + 1
    reply.stop()
    await scene.here.use_cases.chat.apply_stop_requests()
    await reply.finished()
    await scene.here.use_cases.chat.apply_stop_requests()
    await scene.there.use_cases.chat.apply_stop_requests()
    assert scene.store.reads == before + 1


async def test_nobody_stops_somebody_elses_reply_from_anywhere(scene: Scene) -> None:
    reply = await scene.send()
    bob = await scene.there.person("bob")
    for service in (scene.here, scene.there):
        with pytest.raises(NotFound):
            await service.use_cases.chat.stop_message(bob, reply.accepted.interaction_id)
    assert await scene.here.use_cases.chat.apply_stop_requests() == 0
    assert not reply.is_stopped
    reply.stop()
    await reply.finished()


async def test_a_stop_that_comes_too_late_changes_nothing(scene: Scene) -> None:
    reply = await scene.send()
    scene.engine.last.say("Hi")
    scene.engine.last.end()
    end = await reply.finished()
    writes = scene.store.writes
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    assert scene.store.writes == writes
    assert isinstance(end, Completed)
    assert await scene.store.read(lambda snapshot: snapshot.interactions.get(end.interaction.id)) == end.interaction


async def test_a_wish_that_nobody_heeds_is_answered_and_the_sweep_ends_the_reply_unpaid(scene: Scene) -> None:
    """As where the process that wrote it is dead."""
    reply = await scene.send()
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    scene.there.clock.advance(60)
    assert await scene.there.use_cases.maintenance.expire_holds() == 1
    await scene.there.use_cases.chat.stop_message(scene.alice, reply.accepted.interaction_id)
    swept = await scene.store.read(lambda snapshot: snapshot.interactions.get(reply.accepted.interaction_id))
    assert swept
    assert (swept.outcome, swept.credits_charged) == (Outcome.INTERRUPTED, 0)
    assert await asked(scene, reply.accepted.interaction_id) == []
    # Where it lives after all, it finds that it came too late.
    await scene.here.use_cases.chat.apply_stop_requests()
    await reply.abandon()
    await scene.assert_books_agree()


async def asked(scene: Scene, interaction_id: InteractionId) -> list[InteractionId]:
    return await scene.store.read(lambda snapshot: snapshot.interactions.asked_to_stop([interaction_id]))
