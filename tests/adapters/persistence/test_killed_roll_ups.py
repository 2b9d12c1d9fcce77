"""Processes that are killed in the middle of a roll-up lose nothing of it, and count nothing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.application.reports.usage_report import UsageGroup
from chatbill.domain.audit.proof import Difference
from chatbill.domain.reports.periods import ReportPeriod
from chatbill.testing import ManualClock
from tests.kit.histories import AUTUMN, Writer, busy_history, raw_rows
from tests.kit.postgres import shared
from tests.kit.stores import fresh_database
from tests.kit.support import world

ROOT = Path(__file__).parents[3]
AT_ONCE = 2


def roll_up_together(url: str, seeds: list[int]) -> list[int]:
    """Run a process for each seed, all at once; return their exit codes."""
    command = [sys.executable, "-m", "tests.adapters.persistence.roll_up_victim", url]
    running = [subprocess.Popen([*command, str(each)], cwd=ROOT) for each in seeds]
    return [each.wait(120) for each in running]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_sums_of_killed_roll_ups_are_those_of_the_rows(kind: str, tmp_path: Path) -> None:
    url = shared().fresh() if kind == "postgres" else sqlite_url(fresh_database(tmp_path))
    store = open_store(url)
    writer = Writer(store, AUTUMN)
    await writer.people()
    killed = seed = ended = 0
    for week in range(2):
        await writer.write(busy_history(7 + week, 100))
        ended = 0
        while ended < AT_ONCE:
            codes = roll_up_together(url, [seed + number for number in range(AT_ONCE)])
            assert set(codes) <= {0, -signal.SIGKILL}
            killed, ended, seed = killed + codes.count(-signal.SIGKILL), codes.count(0), seed + AT_ONCE
    assert killed >= AT_ONCE

    here = world(store=store, clock=ManualClock(AUTUMN + timedelta(days=60)))
    differences: list[Difference] = []
    await here.use_cases.audit.verify_ledger(differences.append)
    assert [each for each in differences if each.rule == "roll_up"] == []
    period = ReportPeriod.of("2020-01-01", "2030-01-01", None, now=here.clock())
    report = await here.use_cases.reports.usage.read(period, UsageGroup.MODEL, named=False)
    ended_ones = [each for each in (await raw_rows(store)).interactions if each.finished_at]
    assert report.total.requests == len(ended_ones)
    assert report.total.credits_charged == sum(each.credits_charged for each in ended_ones)
    await store.close()
