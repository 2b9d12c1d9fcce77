"""Processes that are gone: their replies end within seconds, and those of slow ones go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.events import Completed, Failed
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import Store, StoreUnavailable, Transaction
from chatbill.application.shared.lease import MISSED
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Outcome
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, World, world

T = TypeVar("T")


class FrozenStore(MemoryStore):
    """Fails for all processes while it is frozen."""

    frozen = False

    async def write(self, work: Callable[[Transaction], T]) -> T:
        if self.frozen:
            raise StoreUnavailable("frozen")
        return await super().write(work)


def process(store: Store, name: str) -> World:
    """Return a process on a store that others use."""
    return world(store=store, engine=ControlledEngine(CATALOGUE), ids=name, deadline_s=600)


async def renew(*processes: World, times: int = 1) -> None:
    """Let the time of some renewals pass in these processes."""
    for _ in range(times):
        for each in processes:
            await each.use_cases.maintenance.renew_lease()


async def begun(here: World) -> tuple[Principal, Reply]:
    """Return a person, and a reply of theirs that is being written."""
    await renew(here)
    alice = await here.person()
    reply = await here.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello"))
    assert isinstance(reply, Reply)
    return alice, reply


async def held(here: World, alice: Principal) -> int:
    """Return the credits that are held of a person's."""
    wallet = await here.store.read(lambda snapshot: snapshot.wallets.get(alice.wallet_id))
    assert wallet is not None
    return wallet.held


async def test_replies_of_a_process_that_is_gone_end_within_some_renewals() -> None:
    store = MemoryStore()
    dead, alive = process(store, "dead"), process(store, "alive")
    alice, reply = await begun(dead)
    release = alive.use_cases.maintenance.release_abandoned
    await renew(alive, times=MISSED)
    assert (await release(), await held(alive, alice)) == (0, 1)
    await renew(alive)
    assert (await release(), await held(alive, alice)) == (1, 0)
    stored = await store.read(lambda snapshot: snapshot.interactions.get(reply.accepted.interaction_id))
    assert stored is not None
    assert (stored.outcome, stored.credits_charged) == (Outcome.INTERRUPTED, 0)
    assert await release() == 0


async def test_a_process_that_is_gone_is_forgotten_once_its_work_is_settled() -> None:
    store = MemoryStore()
    dead, alive = process(store, "dead"), process(store, "alive")
    await begun(dead)
    await renew(alive, times=MISSED + 1)
    await alive.use_cases.maintenance.release_abandoned()
    assert list(await store.write(lambda tx: tx.instances.all())) == [alive.use_cases.lease.instance_id]


@pytest.mark.parametrize("misses", range(1, MISSED + 1))
async def test_replies_of_a_process_that_is_alive_but_slow_go_on(misses: int) -> None:
    store = MemoryStore()
    slow, quick = process(store, "slow"), process(store, "quick")
    alice, _ = await begun(slow)
    for _ in range(3):
        await renew(quick, times=misses)
        await renew(slow)
        assert await quick.use_cases.maintenance.release_abandoned() == 0
    assert await held(slow, alice) == 1


async def test_no_lease_ends_while_the_store_is_away() -> None:
    store = FrozenStore()
    here, there = process(store, "here"), process(store, "there")
    alice, _ = await begun(here)
    await renew(there)
    store.frozen = True
    for _ in range(3 * MISSED):
        for each in (here, there):
            with pytest.raises(StoreUnavailable):
                await each.use_cases.maintenance.renew_lease()
    store.frozen = False
    await renew(there, times=MISSED - 1)
    assert await there.use_cases.maintenance.release_abandoned() == 0
    assert await held(here, alice) == 1


async def test_a_process_that_cannot_look_counts_no_other_as_gone() -> None:
    store = FrozenStore()
    here, there = process(store, "here"), process(store, "there")
    alice, _ = await begun(here)
    await renew(there, times=MISSED + 1)
    store.frozen = True
    with pytest.raises(StoreUnavailable):
        await there.use_cases.maintenance.renew_lease()
    store.frozen = False
    assert await there.use_cases.maintenance.release_abandoned() == 0
    assert await held(here, alice) == 1


async def test_a_process_that_was_suspended_charges_nothing_for_what_was_released() -> None:
    store = MemoryStore()
    suspended, alive = process(store, "suspended"), process(store, "alive")
    alice, reply = await begun(suspended)
    await renew(alive, times=MISSED + 1)
    assert await alive.use_cases.maintenance.release_abandoned() == 1
    engine = suspended.engine
    assert isinstance(engine, ControlledEngine)
    engine.last.say("late")
    engine.last.end()
    end = await reply.finished()
    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("interrupted", 0)
    # From its next renewal on it is a process like any other.
    await renew(suspended, alive, times=3)
    again = await suspended.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello"))
    assert isinstance(again, Reply)
    await renew(suspended, alive, times=2 * MISSED)
    assert await alive.use_cases.maintenance.release_abandoned() == 0
    engine.last.say("in time")
    engine.last.end()
    assert isinstance(await again.finished(), Completed)


async def test_a_process_that_never_renewed_a_lease_is_left_to_the_time_of_its_holds() -> None:
    store = MemoryStore()
    embedded, alive = process(store, "embedded"), process(store, "alive")
    alice = await embedded.person()
    await embedded.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello"))
    await renew(alive, times=3 * MISSED)
    assert await alive.use_cases.maintenance.release_abandoned() == 0
    assert await held(alive, alice) == 1
