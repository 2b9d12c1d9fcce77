"""The periodic jobs, in real time."""

from __future__ import annotations

import asyncio

from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.apply_stop_requests import ApplyStopRequests
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import StoreUnavailable
from chatbill.application.shared.lease import RENEWED_EVERY_S
from chatbill.entrypoints.web.timers import timers
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, world


async def test_a_reply_stops_within_a_second_of_the_stop_at_another_process() -> None:
    store = MemoryStore()
    here, there = world(store=store, engine=ControlledEngine(CATALOGUE), ids="here"), world(store=store, ids="there")
    alice = await here.person()
    async with timers(here.use_cases, sweep_interval_s=60), timers(there.use_cases, sweep_interval_s=60):
        reply = await here.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello"))
        assert isinstance(reply, Reply)
        await there.use_cases.chat.stop_message(alice, reply.accepted.interaction_id)
        await asyncio.wait_for(reply.finished(), 1)


async def test_a_lease_that_was_not_renewed_is_tried_again_without_a_delay() -> None:
    here, tries = world(), []

    async def failing() -> int:
        tries.append(1)
        raise StoreUnavailable("The database is away.")

    here.use_cases.maintenance.renew_lease = failing  # type: ignore[assignment]
    async with timers(here.use_cases, sweep_interval_s=60):
        await asyncio.sleep(RENEWED_EVERY_S + 1)
    assert len(tries) == 2


async def test_a_failed_job_is_tried_again_after_a_delay() -> None:
    class Failing(ApplyStopRequests):
        times = 0

        async def __call__(self) -> int:
            Failing.times += 1
            raise StoreUnavailable("The database is away.")

    here = world()
    failing = Failing(store=here.store, replies=here.use_cases.chat.replies)
    here.use_cases.chat.apply_stop_requests = failing
    async with timers(here.use_cases, sweep_interval_s=60):
        await asyncio.sleep(1.2)
    assert failing.times == 1
