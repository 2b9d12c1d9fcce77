"""The step that has all days summed anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.application.ports.repositories.reports import RollUpRow
from chatbill.application.ports.store import Store
from chatbill.application.reports.series import DUE, DUE_MONTHS, MONTHLY, SERIES, in_months
from chatbill.testing import ManualClock
from tests.kit.histories import AUTUMN, Writer, busy_history
from tests.kit.postgres import shared
from tests.kit.support import world

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    made = shared().empty() if request.param == "postgres" else sqlite_url(tmp_path / "books.sqlite3")
    schema.upgrade(made)
    return made


async def kept(store: Store, *names: str) -> list[RollUpRow]:
    return await store.read(lambda snapshot: [row for name in names for row in snapshot.reports.rollups(name, *ALWAYS)])


async def test_every_day_with_sums_is_due_and_summed_as_before(url: str) -> None:
    sums = (*SERIES, *map(in_months, MONTHLY))
    store = open_store(url)
    writer, clock = Writer(store, AUTUMN), ManualClock(AUTUMN + timedelta(days=60))
    await writer.people()
    await writer.write(busy_history(7, 60))
    here = world(store=store, clock=clock)
    await here.use_cases.reports.roll_up()
    before = await kept(store, *sums)
    days = {row.starts_at for row in await kept(store, *SERIES)}
    assert days
    await store.close()

    schema.downgrade(url, "0018")
    schema.upgrade(url)
    store = open_store(url)
    try:
        assert {row.starts_at for row in await kept(store, DUE)} == days
        assert await kept(store, *sums, DUE_MONTHS) == []
        assert await world(store=store, clock=clock).use_cases.reports.roll_up() == len(days)
        assert await kept(store, *sums) == before
        assert await kept(store, DUE, DUE_MONTHS) == []
    finally:
        await store.close()
