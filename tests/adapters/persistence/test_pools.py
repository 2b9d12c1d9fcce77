"""What the pools of connections say of themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from chatbill.adapters.monitoring.observed_store import ObservedStore
from chatbill.adapters.persistence import PostgresStore, SqliteStore
from chatbill.application.ports.metrics import NoMetrics, PoolFigures
from chatbill.application.ports.store import Snapshot
from tests.kit.postgres import shared
from tests.kit.stores import fresh_database
from tests.kit.waiting import eventually


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObservedStore]:
    opened = (
        PostgresStore(make_url(shared().fresh()), writers=1, readers=1)
        if request.param == "postgres"
        else SqliteStore(fresh_database(tmp_path), readers=1)
    )
    yield ObservedStore(opened, NoMetrics())
    await opened.close()


async def test_a_pool_counts_its_connections_and_who_waits_for_one(store: ObservedStore) -> None:
    assert store.pools()["read"] == PoolFigures(size=1, connections=0, busy=0, waiting=0)
    go_on = threading.Event()

    def wait(_snapshot: Snapshot) -> None:
        assert go_on.wait(30)

    reads = [asyncio.create_task(store.read(wait)) for _ in range(3)]
    await eventually(lambda: store.pools()["read"] == PoolFigures(size=1, connections=1, busy=1, waiting=2))
    assert (store.pools()["write"].busy, store.pools()["write"].waiting) == (0, 0)
    go_on.set()
    await asyncio.gather(*reads)
    await eventually(lambda: store.pools()["read"] == PoolFigures(size=1, connections=1, busy=0, waiting=0))
