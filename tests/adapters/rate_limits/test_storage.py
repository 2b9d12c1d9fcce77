"""The storage in memory: exact like a plain model, and bounded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.rate_limits.storage import BoundedMemoryStorage


@dataclass
class Hand:
    """A clock that stands still until it is moved. In seconds."""

    time: float = 0.0

    def __call__(self) -> float:
        return self.time


@given(
    limit=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.sampled_from([10, 60])), max_size=60),
)
def test_it_agrees_with_counting_every_hit_again(limit: int, steps: list[tuple[str, int, int]]) -> None:
    async def compare() -> None:
        hand = Hand()
        storage = BoundedMemoryStorage(now=hand)
        granted: list[tuple[str, int, float]] = []
        for key, pause, window in steps:
            hand.time += pause
            counting = [at for who, wide, at in granted if (who, wide) == (key, window) and at >= hand.time - window]
            name = f"{key}/{window}"
            assert await storage.get_moving_window(name, limit, window) == (
                min(counting, default=hand.time),
                len(counting),
            )
            assert await storage.acquire_entry(name, limit, window) == (len(counting) < limit)
            if len(counting) < limit:
                granted.append((key, window, hand.time))

    asyncio.run(compare())


async def test_keys_that_no_longer_count_are_forgotten() -> None:
    hand = Hand()
    storage = BoundedMemoryStorage(now=hand)
    for number in range(1_000):
        await storage.acquire_entry(f"early {number}", 5, 60)
    await storage.acquire_entry("slow", 5, 3_600)
    hand.time += 61
    for number in range(1_000):
        await storage.acquire_entry(f"late {number}", 5, 60)
    assert len(storage) == 1_001


async def test_a_flood_of_names_stays_within_the_bound() -> None:
    storage = BoundedMemoryStorage(max_keys=100, now=Hand())
    for number in range(10_000):
        await storage.acquire_entry(str(number), 5, 60)
    assert len(storage) == 100


async def test_it_can_be_cleared() -> None:
    storage = BoundedMemoryStorage()
    for key in "ab":
        assert await storage.acquire_entry(key, 1, 60)
    await storage.clear("a")
    assert await storage.acquire_entry("a", 1, 60)
    assert not await storage.acquire_entry("b", 1, 60)
    assert await storage.reset() == 2
    assert len(storage) == 0
    assert await storage.check()


@pytest.mark.parametrize("call", ["incr", "get", "get_expiry"])
async def test_fixed_windows_are_not_offered(call: str) -> None:
    with pytest.raises(NotImplementedError):
        await getattr(BoundedMemoryStorage(), call)("key")
