"""What every adapter of the rate-limit port promises."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.adapters.valkey.rate_limits import ValkeyRateLimits
from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.domain.shared.errors import RateLimited
from tests.kit.valkey import connected, shared

LIMIT = Limit(name="sign-in", times=3, window_s=60)


@dataclass
class Hand:
    """A clock that stands still until it is moved. In seconds."""

    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class NamedApart:
    """Rate limits whose keys begin with a name that no other test on the same server has."""

    limits: RateLimits
    name: str

    async def hit(self, limit: Limit, key: str) -> None:
        await self.limits.hit(limit, self.name + key)

    async def check(self, limit: Limit, key: str) -> None:
        await self.limits.check(limit, self.name + key)

    async def add(self, limit: Limit, key: str, times: int = 1) -> None:
        await self.limits.add(limit, self.name + key, times)

    async def forget(self, limit: Limit, key: str) -> None:
        await self.limits.forget(limit, self.name + key)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture(params=["moving window", "valkey"])
async def limits(request: pytest.FixtureRequest, hand: Hand) -> AsyncIterator[RateLimits]:
    own = MovingWindowRateLimits(now=hand)
    if request.param == "moving window":
        yield own
        return
    async with connected(shared()) as server:
        yield NamedApart(ValkeyRateLimits(server, own, now=hand), uuid.uuid4().hex)


async def test_as_many_hits_as_allowed_pass_and_the_next_is_refused(limits: RateLimits) -> None:
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, "ann")
    with pytest.raises(RateLimited):
        await limits.hit(LIMIT, "ann")


async def test_a_refusal_says_when_to_come_back_and_keeps_its_word(limits: RateLimits, hand: Hand) -> None:
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, "ann")
        hand.time += 10
    with pytest.raises(RateLimited) as refused:
        await limits.hit(LIMIT, "ann")
    assert 30 <= refused.value.retry_after_s <= 31
    hand.time += refused.value.retry_after_s
    await limits.hit(LIMIT, "ann")
    with pytest.raises(RateLimited):
        await limits.hit(LIMIT, "ann")


async def test_a_refused_hit_is_not_counted(limits: RateLimits, hand: Hand) -> None:
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, "ann")
    hand.time += 59
    for _ in range(50):
        with pytest.raises(RateLimited):
            await limits.hit(LIMIT, "ann")
    hand.time += 2
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, "ann")


async def test_what_was_forgotten_counts_no_more_for_this_one_alone(limits: RateLimits) -> None:
    for who in ("ann", "bob"):
        for _ in range(LIMIT.times):
            await limits.hit(LIMIT, who)
    await limits.forget(LIMIT, "ann")
    await limits.hit(LIMIT, "ann")
    with pytest.raises(RateLimited):
        await limits.hit(LIMIT, "bob")


async def test_people_and_limits_are_counted_apart(limits: RateLimits) -> None:
    other = Limit(name="messages", times=LIMIT.times, window_s=LIMIT.window_s)
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, "ann")
    await limits.hit(LIMIT, "bob")
    await limits.hit(other, "ann")


async def test_no_times_means_no_limit(limits: RateLimits) -> None:
    off = Limit(name="off", times=0, window_s=60)
    for _ in range(1_000):
        await limits.hit(off, "ann")
    await limits.forget(off, "ann")


async def test_of_many_hits_at_once_exactly_the_allowed_pass(limits: RateLimits) -> None:
    limit = Limit(name="burst", times=100, window_s=60)
    results = await asyncio.gather(*(limits.hit(limit, "ann") for _ in range(500)), return_exceptions=True)
    assert sum(result is None for result in results) == 100
    assert sum(isinstance(result, RateLimited) for result in results) == 400


@pytest.mark.parametrize("who", ["", "/", "%", "\ud800", "é", "x" * 1_000_000, "a/b"])
async def test_a_name_may_be_anything(limits: RateLimits, who: str) -> None:
    for _ in range(LIMIT.times):
        await limits.hit(LIMIT, who)
    with pytest.raises(RateLimited):
        await limits.hit(LIMIT, who)
    await limits.hit(LIMIT, who + "b")


async def test_a_check_counts_nothing_and_refuses_at_the_limit(limits: RateLimits, hand: Hand) -> None:
    for _ in range(10):
        await limits.check(LIMIT, "ann")
    await limits.add(LIMIT, "ann", 2)
    await limits.check(LIMIT, "ann")
    await limits.add(LIMIT, "ann")
    with pytest.raises(RateLimited) as refused:
        await limits.check(LIMIT, "ann")
    hand.time += refused.value.retry_after_s
    await limits.check(LIMIT, "ann")


async def test_what_is_added_beyond_the_limit_is_cut_off_at_it(limits: RateLimits, hand: Hand) -> None:
    await limits.add(LIMIT, "ann", 2)
    await limits.add(LIMIT, "ann", 1_000)
    await limits.add(LIMIT, "ann", 1)
    with pytest.raises(RateLimited):
        await limits.check(LIMIT, "ann")
    await limits.check(LIMIT, "bob")
    hand.time += 61
    await limits.hit(LIMIT, "ann")


async def test_without_a_limit_nothing_is_added_or_refused(limits: RateLimits) -> None:
    off = Limit(name="off", times=0, window_s=60)
    await limits.add(off, "ann", 5)
    await limits.check(off, "ann")


async def test_a_refusal_has_the_reason_of_its_limit(limits: RateLimits) -> None:
    limit = Limit(name="sign-in", times=1, window_s=60, reason="too_many_registrations")
    await limits.hit(limit, "ann")
    with pytest.raises(RateLimited, match="too_many_registrations"):
        await limits.hit(limit, "ann")
