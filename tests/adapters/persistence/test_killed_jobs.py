"""Processes that are killed in the middle of jobs lose none, and repeat the effect of none."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chatbill.adapters.persistence import open_store, sqlite_url
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.store import Transaction
from chatbill.domain.jobs.jobs import JobState
from tests.kit.postgres import shared
from tests.kit.rows import add_person, job
from tests.kit.stores import fresh_database

ROOT = Path(__file__).parents[3]
JOBS = 40
AT_ONCE = 2


def work_together(url: str, seeds: list[int]) -> list[int]:
    """Run a process for each seed, all at once; return their exit codes."""
    command = [sys.executable, "-m", "tests.adapters.persistence.job_victim", url]
    running = [subprocess.Popen([*command, str(each)], cwd=ROOT) for each in seeds]
    return [each.wait(120) for each in running]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_jobs_of_killed_processes_are_done_once(kind: str, tmp_path: Path) -> None:
    url = shared().fresh() if kind == "postgres" else sqlite_url(fresh_database(tmp_path))
    store = open_store(url)

    def fill(tx: Transaction) -> None:
        add_person(tx)
        for number in range(JOBS):
            tx.jobs.add(job(f"job-{number}"))

    await store.write(fill)
    killed = seed = ended = 0
    while ended < AT_ONCE:
        seeds = [seed + number for number in range(AT_ONCE)]
        codes = work_together(url, seeds)
        assert set(codes) <= {0, -signal.SIGKILL}
        killed, ended, seed = killed + codes.count(-signal.SIGKILL), codes.count(0), seed + AT_ONCE
    assert killed > AT_ONCE

    jobs = await store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=999))
    done = [each for each in jobs if each.state is JobState.DONE]
    assert {f"job-{number}" for number in range(JOBS)} <= {each.id for each in done}
    assert {each.state for each in jobs} <= {JobState.DONE, JobState.QUEUED}
    records = await store.read(lambda snapshot: snapshot.audit_trail.newest(AuditFilter(), after=None, limit=999))
    effects = Counter(str(record.reason) for record in records)
    await store.close()
    assert effects == Counter(str(each.period or each.id) for each in done)
    assert set(effects.values()) == {1}
