"""Races that lose a hold, a limit or a sweep."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.passwords import Verified
from chatbill.application.ports.store import Snapshot, Transaction
from chatbill.domain.shared.errors import ChatbillError, ModelUnavailable
from chatbill.domain.shared.ids import WalletId
from chatbill.testing import PlainPasswords
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE, PASSWORD, world

T = TypeVar("T")


class SlowStore:
    """A store whose writes take a moment, as on a disk."""

    def __init__(self) -> None:
        self._inner = MemoryStore()
        self.delay_s = 0.0

    async def write(self, work: Callable[[Transaction], T]) -> T:
        async def kept() -> T:
            await asyncio.sleep(self.delay_s)
            return await self._inner.write(work)

        # As the real ones: what is under way is finished, whatever becomes of the caller.
        return await asyncio.shield(asyncio.ensure_future(kept()))

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        return await self._inner.read(query)

    async def close(self) -> None:
        await self._inner.close()


async def test_a_message_that_is_being_accepted_when_the_service_stops_leaves_no_hold() -> None:
    store = SlowStore()
    scene = world(store=store, engine=ControlledEngine(CATALOGUE))
    alice = await scene.person()
    store.delay_s = 0.1
    sending = asyncio.create_task(scene.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello")))
    await asyncio.sleep(0.02)
    assert scene.use_cases.chat.replies is not None
    await scene.use_cases.chat.replies.drain(grace_s=0)
    reply: object = None
    with contextlib.suppress(ModelUnavailable):
        reply = await sending
    if isinstance(reply, Reply):
        await asyncio.wait({asyncio.ensure_future(reply.finished())}, timeout=1)
    balance = await scene.use_cases.billing.read_balance(alice)
    if isinstance(reply, Reply) and balance.held:
        await reply.abandon()
    assert balance.held == 0


async def test_a_caller_cancelled_while_its_message_is_accepted_leaves_no_hold() -> None:
    store = SlowStore()
    scene = world(store=store)
    alice = await scene.person()
    store.delay_s = 0.1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scene.use_cases.chat.send_message(alice, Message(model="demo-mini", text="Hello")), 0.02)
    await asyncio.sleep(0.5)
    assert (await scene.use_cases.billing.read_balance(alice)).held == 0


async def test_guesses_made_at_once_are_limited_as_those_made_one_by_one() -> None:
    class SlowPasswords(PlainPasswords):
        async def verify(self, password: str, stored: str | None) -> Verified:
            await asyncio.sleep(0.01)
            return await super().verify(password, stored)

    scene = world(passwords=SlowPasswords(), rate_limits=MovingWindowRateLimits())
    await scene.person()

    async def guess(password: str) -> bool:
        try:
            await scene.use_cases.accounts.sign_in(Credentials(login="alice", password=password))
        except ChatbillError:
            return False
        return True

    guesses = [f"wrong guess {number}" for number in range(100)]
    results = await asyncio.gather(*map(guess, [*guesses, PASSWORD]))
    assert not results[-1], "the 101st guess of a burst was tried, though 10 failures are allowed"


async def test_one_hold_that_cannot_be_released_does_not_keep_the_others_from_it() -> None:
    store = MemoryStore()
    engine = ControlledEngine(CATALOGUE)
    scene = world(store=store, engine=engine, deadline_s=1_000)
    alice, bob = await scene.person("alice"), await scene.person("bob")
    replies = [
        await scene.use_cases.chat.send_message(who, Message(model="demo-mini", text="Hello")) for who in (alice, bob)
    ]

    def damage(tx: Transaction) -> None:
        tx.wallets.save(replace(tx.wallets.lock(WalletId(alice.wallet_id)), held=0))

    await store.write(damage)
    scene.clock.advance(10_000)
    with contextlib.suppress(ChatbillError):
        await scene.use_cases.maintenance.expire_holds()
    held = (await scene.use_cases.billing.read_balance(bob)).held
    for reply in replies:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reply.abandon(), 1)
    assert held == 0
