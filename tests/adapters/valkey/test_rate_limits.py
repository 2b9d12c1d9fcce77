"""Limits that are counted together, and what happens while the server is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.adapters.valkey.rate_limits import ValkeyRateLimits
from chatbill.adapters.valkey.server import ValkeyServer
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.shared.errors import RateLimited
from tests.kit.valkey import Server, connected, start
from tests.kit.waiting import eventually

LIMIT = Limit(name="sign-in", times=3, window_s=600)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = start()
    yield server
    server.kill()


@pytest.fixture
def server(running: Server) -> Server:
    if running.process is None:
        running.start()
    return running


@pytest.fixture
async def first(server: Server) -> AsyncIterator[ValkeyServer]:
    async with connected(server, timeout_s=0.5, retry_s=0.05) as connection:
        yield connection


@pytest.fixture
async def second(server: Server) -> AsyncIterator[ValkeyServer]:
    async with connected(server, timeout_s=0.5, retry_s=0.05) as connection:
        yield connection


def limits_on(connection: ValkeyServer) -> ValkeyRateLimits:
    return ValkeyRateLimits(connection, MovingWindowRateLimits())


async def spend(limits: ValkeyRateLimits, key: str) -> int:
    """Hit until it is refused; return how often that passed."""
    for passed in range(100):
        try:
            await limits.hit(LIMIT, key)
        except RateLimited:
            return passed
    raise AssertionError("nothing was refused")


async def test_two_processes_count_together(first: ValkeyServer, second: ValkeyServer) -> None:
    one, other = limits_on(first), limits_on(second)
    await one.hit(LIMIT, "together")
    await other.hit(LIMIT, "together")
    await one.hit(LIMIT, "together")
    with pytest.raises(RateLimited) as refused:
        await other.hit(LIMIT, "together")
    assert 590 < refused.value.retry_after_s <= 601
    await one.forget(LIMIT, "together")
    assert await spend(other, "together") == 3


async def test_of_hits_of_two_processes_at_once_exactly_the_allowed_pass(server: Server) -> None:
    limit = Limit(name="burst", times=50, window_s=600)
    async with connected(server) as one, connected(server) as other:
        both = limits_on(one), limits_on(other)
        hits = (both[number % 2].hit(limit, "burst") for number in range(200))
        results = await asyncio.gather(*hits, return_exceptions=True)
    assert results.count(None) == 50


async def test_additions_of_two_processes_at_once_are_cut_off_at_the_limit(server: Server) -> None:
    limit = Limit(name="added", times=50, window_s=600)
    async with connected(server) as one, connected(server) as other:
        both = limits_on(one), limits_on(other)
        await asyncio.gather(*(both[number % 2].add(limit, "added", 3) for number in range(16)))
        await both[0].check(limit, "added")
        await asyncio.gather(*(both[number % 2].add(limit, "added", 3) for number in range(4)))
        with pytest.raises(RateLimited):
            await both[0].check(limit, "added")


async def test_while_the_server_is_gone_each_process_counts_for_itself_and_comes_back(
    server: Server, first: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    limits = limits_on(first)
    assert await spend(limits, "killed") == 3
    server.kill()
    assert await spend(limits, "killed") == 3
    assert first.is_away
    server.start()
    await eventually(first.answers)
    assert await spend(limits, "killed") == 3  # it came back empty
    said = [record.message for record in caplog.records]
    assert said == ["shared_server_away", "shared_server_is_back"]


async def test_a_frozen_server_costs_one_bounded_wait_and_then_nothing(server: Server) -> None:
    async with connected(server, timeout_s=0.2, retry_s=3_600) as connection:
        limits = limits_on(connection)
        await limits.hit(LIMIT, "frozen")
        server.freeze()
        try:
            begun = time.perf_counter()
            assert await spend(limits, "frozen") == 3
            took_s = time.perf_counter() - begun
        finally:
            server.thaw()
    assert took_s < 10  # a hundred calls, of which one waits


async def test_after_the_thaw_limits_are_shared_again(server: Server, first: ValkeyServer) -> None:
    limits = limits_on(first)
    assert await spend(limits, "thawed") == 3
    server.freeze()
    try:
        await limits.hit(LIMIT, "thawed")  # counted here
        assert first.is_away
    finally:
        server.thaw()
    await eventually(first.answers)
    with pytest.raises(RateLimited):
        await limits.hit(LIMIT, "thawed")


async def test_a_server_that_refuses_commands_counts_as_away(server: Server, first: ValkeyServer) -> None:
    limits = limits_on(first)
    await first.ask(lambda client: client.config_set("maxmemory", "1"))
    try:
        await limits.hit(LIMIT, "full")
        assert first.is_away
    finally:
        await eventually(lambda: _restored(first))


async def _restored(connection: ValkeyServer) -> bool:
    await connection.client.config_set("maxmemory", "0")
    return await connection.answers()


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        ValkeyServer("http://example.org")
