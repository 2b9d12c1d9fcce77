"""An upgrade from the first schema while programs charge and read, as the benchmark measures it with a million rows."""

from __future__ import annotations

import psycopg
import pytest

from benchmarks.upgrade import FIRST, measure, prepare, prove
from chatbill.adapters.persistence.sql import schema
from tests.kit.postgres import shared

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
ROWS = 400


@pytest.mark.parametrize("since", [FIRST, "0008"])
async def test_an_upgrade_under_load_comes_through_and_the_ledger_verifies(
    since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = shared().empty()
    load = measure(url, prepare(url, ROWS, since), since, free_s=0.5)

    assert schema.current(url) == schema.head()
    assert load.errors == []
    with psycopg.connect(url) as connection:
        (charges,) = connection.execute("SELECT count(*) FROM ledger_entries WHERE kind = 'charge'").fetchone() or (0,)
    assert charges == ROWS * 9 // 10 + load.charges
    await prove(url)
    assert "the ledger verifies" in capsys.readouterr().out
