"""Charges for work of any kind: paid when it succeeds, free when it does not."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from chatbill.application.billing.charges import Charge
from chatbill.application.ports.store import StoreUnavailable
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.holds import HoldState
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import Subject
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import (
    AlreadySettled,
    InsufficientCredits,
    InvalidRequest,
    InvariantViolation,
    NotFound,
)
from chatbill.domain.shared.ids import WalletId
from tests.kit.billing import FailingStore, assert_books_agree
from tests.kit.support import World, world

CAPTION = Subject("caption", "1")
WORDS = Description.of("caption", image="cat.png")


def charge(here: World, alice: Principal, most: int = 10) -> AbstractAsyncContextManager[Charge]:
    """Hold credits for a caption for a minute."""
    return here.use_cases.billing.charges.hold(alice.wallet_id, most, WORDS, CAPTION, ttl_s=60)


async def balance(here: World, alice: Principal) -> tuple[int, int]:
    """What Alice owns, and what is held of it."""
    wallet = await here.use_cases.billing.read_balance(alice)
    return wallet.posted, wallet.held


async def test_the_whole_hold_is_charged_where_no_cost_is_set() -> None:
    here = world()
    alice = await here.person()
    async with charge(here, alice) as caption:
        assert await balance(here, alice) == (100, 10)
    assert await balance(here, alice) == (90, 0)
    assert caption.entry
    newest = (await here.use_cases.billing.list_transactions(alice)).items[0]
    assert newest == caption.entry
    assert (newest.kind, newest.signed_amount, newest.balance_after) == (EntryKind.CHARGE, -10, 90)
    assert (newest.cause.subject, newest.cause.description) == (CAPTION, WORDS)
    await assert_books_agree(here)


async def test_a_smaller_cost_is_charged_and_the_rest_is_free_again() -> None:
    here = world()
    alice = await here.person()
    async with charge(here, alice) as caption:
        caption.cost = 4
    assert await balance(here, alice) == (96, 0)
    await assert_books_agree(here)


async def test_a_cost_of_0_releases_the_hold_without_an_entry() -> None:
    here = world()
    alice = await here.person()
    async with charge(here, alice) as caption:
        caption.cost = 0
    assert caption.entry is None
    assert await balance(here, alice) == (100, 0)
    assert len((await here.use_cases.billing.list_transactions(alice)).items) == 1
    await assert_books_agree(here)


async def test_work_that_raises_costs_nothing() -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(LookupError, match="no caption"):
        async with charge(here, alice):
            raise LookupError("no caption")
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_work_that_is_cancelled_costs_nothing() -> None:
    here = world()
    alice = await here.person()
    begun = asyncio.Event()

    async def work() -> None:
        async with charge(here, alice):
            begun.set()
            await asyncio.sleep(60)

    working = asyncio.create_task(work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


@pytest.mark.parametrize("cost", [-1, 11])
async def test_a_cost_out_of_bounds_is_refused_and_costs_nothing(cost: int) -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvalidRequest, match="out_of_range"):
        async with charge(here, alice) as caption:
            caption.cost = cost
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_a_wallet_that_cannot_pay_refuses_before_the_work_begins() -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InsufficientCredits) as refused:
        async with charge(here, alice, most=101):
            pytest.fail("the work began")
    assert (refused.value.required, refused.value.available) == (101, 100)
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_a_wallet_that_does_not_exist_is_not_found() -> None:
    charges = world().use_cases.billing.charges
    with pytest.raises(NotFound):
        async with charges.hold(WalletId("none"), 1, WORDS, CAPTION, ttl_s=60):
            pytest.fail("the work began")


@pytest.mark.parametrize("ttl_s", [-1, 90_001])
async def test_a_hold_without_a_possible_end_is_refused(ttl_s: float) -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvariantViolation):
        async with here.use_cases.billing.charges.hold(alice.wallet_id, 1, WORDS, CAPTION, ttl_s=ttl_s):
            pytest.fail("the work began")
    await assert_books_agree(here)


async def test_a_store_that_fails_for_a_moment_is_asked_again() -> None:
    store = FailingStore()
    here = world(store=store)
    alice = await here.person()
    async with charge(here, alice):
        store.failures = 2
    assert await balance(here, alice) == (90, 0)
    await assert_books_agree(here)


async def test_a_store_that_goes_on_failing_leaves_the_hold_to_the_sweep() -> None:
    store = FailingStore()
    here = world(store=store)
    alice = await here.person()
    with pytest.raises(StoreUnavailable):
        async with charge(here, alice):
            store.failures = 3
    assert await balance(here, alice) == (100, 10)
    here.clock.advance(61)
    assert await here.use_cases.maintenance.expire_holds() == 1
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_a_process_that_ends_within_the_block_leaves_the_hold_to_the_sweep() -> None:
    here = world()
    alice = await here.person()
    # It is never left; the reference keeps Python from closing it.
    block = charge(here, alice)
    entered = await block.__aenter__()
    await assert_books_agree(here)
    assert await here.use_cases.maintenance.expire_holds() == 0
    here.clock.advance(61)
    assert await here.use_cases.maintenance.expire_holds() == 1
    hold = await here.store.read(lambda snapshot: snapshot.holds.get(entered.hold.id))
    assert hold
    assert (hold.state, hold.captured) == (HoldState.RELEASED, 0)
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_work_that_ends_after_its_hold_was_swept_is_not_charged() -> None:
    here = world()
    alice = await here.person()
    block = charge(here, alice)
    await block.__aenter__()
    here.clock.advance(61)
    assert await here.use_cases.maintenance.expire_holds() == 1
    with pytest.raises(AlreadySettled):
        await block.__aexit__(None, None, None)
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_a_charge_whose_answer_was_lost_is_made_once() -> None:
    store = FailingStore()
    here = world(store=store)
    alice = await here.person()
    async with charge(here, alice) as caption:
        store.lost_answers = 2
    assert caption.entry
    assert await balance(here, alice) == (90, 0)
    await assert_books_agree(here)


async def test_a_hold_that_is_settled_while_the_sweep_looks_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    alice = await here.person()
    async with charge(here, alice) as caption:
        hold = caption.hold
    late = replace(here.use_cases.maintenance.expire_holds, clock=lambda: hold.expires_at)
    assert not await late.release(hold)
    assert caplog.records == []
    await assert_books_agree(here)


async def test_charges_at_once_never_promise_more_than_the_wallet_owns() -> None:
    here = world()
    alice = await here.person()

    async def work() -> bool:
        try:
            async with charge(here, alice):
                await asyncio.sleep(0)
        except InsufficientCredits:
            return False
        return True

    done = await asyncio.gather(*(work() for _ in range(30)))
    assert 0 < sum(done) <= 10
    assert await balance(here, alice) == (100 - 10 * sum(done), 0)
    await assert_books_agree(here)


@pytest.mark.parametrize("cost", [1.5, None, "3"])
async def test_a_cost_that_is_no_whole_number_is_refused_and_costs_nothing(cost: Any) -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvalidRequest, match="out_of_range"):
        async with charge(here, alice) as caption:
            caption.cost = cost
    assert await balance(here, alice) == (100, 0)
    with pytest.raises(InvariantViolation):
        async with charge(here, alice, most=1.5):  # type: ignore[arg-type]
            pytest.fail("the work began")
    assert await balance(here, alice) == (100, 0)


@pytest.mark.parametrize("kind", ["interaction", "payment"])
async def test_a_kind_that_chatbill_uses_itself_is_refused_before_the_work(kind: str) -> None:
    here = world()
    alice = await here.person()
    with pytest.raises(InvalidRequest, match="reserved_kind"):
        async with here.use_cases.billing.charges.hold(alice.wallet_id, 1, WORDS, Subject(kind, "1"), ttl_s=60):
            pytest.fail("the work began")
    assert await balance(here, alice) == (100, 0)


async def test_an_error_of_the_work_is_not_replaced_by_one_of_the_release() -> None:
    store = FailingStore()
    here = world(store=store)
    alice = await here.person()

    async def swept() -> None:
        async with charge(here, alice):
            here.clock.advance(61)
            assert await here.use_cases.maintenance.expire_holds() == 1
            raise LookupError

    async def without_a_store() -> None:
        async with charge(here, alice):
            store.failures = 3
            raise LookupError

    for work in (swept, without_a_store):
        with pytest.raises(LookupError):
            await work()
    here.clock.advance(61)
    assert await here.use_cases.maintenance.expire_holds() == 1
    await assert_books_agree(here)


async def test_a_caller_that_is_cancelled_while_the_hold_is_taken_leaves_none() -> None:
    here = world()
    alice = await here.person()

    async def work() -> None:
        async with charge(here, alice):
            await asyncio.sleep(60)

    for turns in range(6):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await balance(here, alice) == (100, 0)
    await assert_books_agree(here)


async def test_settling_again_at_the_same_moment_is_told() -> None:
    here = world()
    alice = await here.person()
    charges = here.use_cases.billing.charges
    block = charge(here, alice)
    caption = await block.__aenter__()
    await charges.settle(caption.hold, 4)
    for cost in (4, 0):
        with pytest.raises(AlreadySettled):
            await charges.settle(caption.hold, cost)
    assert await balance(here, alice) == (96, 0)
    await assert_books_agree(here)
