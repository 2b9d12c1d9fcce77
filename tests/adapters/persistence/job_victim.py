"""A process that does jobs and kills itself in the middle of some, for the test of what becomes of them.

`python -m tests.adapters.persistence.job_victim URL SEED`. Its clock is ahead by a minute for each seed, so that claims
of the dead are over at once. It ends with exit code 0 once no job is due.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chatbill.adapters.persistence import open_store
from chatbill.adapters.system import Uuid7Ids
from chatbill.application.jobs.handlers import Effect, Handler
from chatbill.application.jobs.run_jobs import RunJobs
from chatbill.application.ports.metrics import NoMetrics
from chatbill.application.ports.store import Transaction
from chatbill.domain.jobs.jobs import Job, Schedule
from chatbill.domain.shared.ids import AuditRecordId
from tests.kit.rows import audit_record

DEATHS = 0.04
EVERY_S = 20


async def main(url: str, seed: int) -> None:
    """Do every job that is due, or die."""
    chance, store, new_id = random.Random(seed), open_store(url), Uuid7Ids()

    def maybe_die() -> None:
        if chance.random() < DEATHS:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work(job: Job) -> Effect:
        maybe_die()
        await asyncio.sleep(0.001)

        def effect(tx: Transaction) -> None:
            maybe_die()
            tx.audit_trail.append(replace(audit_record(), id=AuditRecordId(new_id()), reason=str(job.period or job.id)))
            maybe_die()

        return effect

    run = RunJobs(
        store=store,
        clock=lambda: datetime.now(UTC) + timedelta(seconds=61 * seed),
        new_id=new_id,
        metrics=NoMetrics(),
        handlers={"a": Handler(work=work), "tick": Handler(work=work)},
        schedules=(Schedule(kind="tick", every_s=EVERY_S),),
    )
    while any(await asyncio.gather(run(), run())):
        maybe_die()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
