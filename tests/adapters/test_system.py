"""Clock and ids."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbill.adapters.system import SystemClock, Uuid7Ids


def test_the_clock_tells_utc() -> None:
    now = SystemClock()()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


@given(times=st.lists(st.integers(0, (1 << 48) * 1_000_000 - 10**12), min_size=1, max_size=50))
def test_ids_sort_in_the_order_of_making_whatever_the_clock_does(times: list[int]) -> None:
    ticks = iter(times)
    new_id = Uuid7Ids(now_ns=lambda: next(ticks))
    made = [new_id() for _ in times]
    assert made == sorted(set(made))
    for text in made:
        assert (UUID(text).version, UUID(text).variant) == (7, RFC_4122)
        assert len(text) == 36


def test_an_id_carries_its_millisecond() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    made = UUID(Uuid7Ids(now_ns=lambda: int(moment.timestamp()) * 10**9)())
    assert made.int >> 80 == int(moment.timestamp()) * 1_000


def test_threads_get_different_ids_and_each_sees_them_grow() -> None:
    new_id = Uuid7Ids()

    def many() -> list[str]:
        return [new_id() for _ in range(5_000)]

    with ThreadPoolExecutor(8) as pool:
        lists = [future.result() for future in [pool.submit(many) for _ in range(8)]]
    assert all(made == sorted(made) for made in lists)
    assert len({text for made in lists for text in made}) == 40_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_makes_other_ids_than_its_parent() -> None:
    new_id = Uuid7Ids(now_ns=lambda: 0)
    new_id()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reading, 36).decode() != new_id()
