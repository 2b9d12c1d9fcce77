"""The cache that processes share, alone and behind an engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.valkey.cache import PREFIX, ValkeyCache
from chatbill.adapters.valkey.server import ValkeyServer
from tests.adapters.inference.caching.scene import ALICE, BOB, MB, ManualTime, RecordingEngine, asked, written
from tests.kit.valkey import Server, connected, start
from tests.kit.waiting import eventually


@pytest.fixture
def running() -> Iterator[Server]:
    server = start()
    yield server
    server.kill()


@pytest.fixture
async def server(running: Server) -> AsyncIterator[ValkeyServer]:
    async with connected(running) as connection:
        yield connection


def process(server: ValkeyServer, now: ManualTime | None = None) -> tuple[CachingEngine, RecordingEngine]:
    """Return an engine with its own cache and the shared one, and what asks its model."""
    inner, own = RecordingEngine(), ReplyCache(max_bytes=MB, ttl_s=60, now=now or ManualTime())
    return CachingEngine(inner, own, temperatures={}, identities={}, others=ValkeyCache(server)), inner


async def test_what_one_process_wrote_another_gives_again_chunk_by_chunk(server: ValkeyServer) -> None:
    (here, _), (there, model) = process(server), process(server)
    first, first_cached = await written(here, asked())
    second, second_cached = await written(there, asked())
    assert (first_cached, second_cached) == (False, True)
    assert first == second
    assert model.asked == []


async def test_no_person_gets_the_reply_of_another_from_another_process(server: ValkeyServer) -> None:
    (here, _), (there, _) = process(server), process(server)
    await written(here, asked(owner=ALICE))
    _, cached = await written(there, asked(owner=BOB))
    assert not cached


async def test_a_value_that_cannot_be_read_is_no_reply(server: ValkeyServer) -> None:
    here, _ = process(server)
    await written(here, asked())
    for key in await server.client.keys(PREFIX + b"*"):
        await server.client.set(key, b'{"of": "another version"}')
    _, cached = await written(process(server)[0], asked())
    assert not cached


async def test_values_expire(server: ValkeyServer) -> None:
    cache, key = ValkeyCache(server), uuid.uuid4().bytes
    await cache.put(key, b"value", ttl_s=0.05)

    async def is_gone() -> bool:
        return await cache.get(key) is None

    await eventually(is_gone)
    await cache.put(key, b"value", ttl_s=60)
    assert await cache.get(key) == b"value"
    assert 59_000 < await server.client.pttl(PREFIX + key) <= 60_000


async def test_while_the_server_is_away_it_is_empty(running: Server) -> None:
    async with connected(running, timeout_s=0.5, retry_s=0.05) as connection:
        cache = ValkeyCache(connection)
        await cache.put(b"key", b"value", ttl_s=60)
        await asyncio.to_thread(running.kill)
        assert await cache.get(b"key") is None
        await cache.put(b"key", b"other", ttl_s=60)
        here, _ = process(connection)
        _, cached = await written(here, asked())
        assert not cached
