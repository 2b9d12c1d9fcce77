"""Jobs, on every store: done once by any number of processes, whatever becomes of them and of their clocks."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from chatbill.application.jobs.handlers import Effect, Handler
from chatbill.application.jobs.run_jobs import LOST, RunJobs
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.jobs.jobs import LEASE_S, MAX_ATTEMPTS, Job, JobState, Schedule
from chatbill.domain.shared.errors import Conflict, GenerationFailed
from chatbill.testing import CountingIds, ManualClock
from tests.kit.metrics import MemoryMetrics
from tests.kit.rows import NOON, audit_record, job, later
from tests.kit.waiting import eventually


@dataclass
class Process:
    """A process that does jobs of kind `a`: its effect is a row for each job. `work` may be replaced."""

    store: Store
    name: str
    clock: ManualClock
    options: dict[str, Any] = field(default_factory=dict)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    attempts: Counter[str] = field(default_factory=Counter)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.run = RunJobs(
            store=self.store,
            clock=self.clock,
            new_id=CountingIds(self.name),
            metrics=self.metrics,
            handlers={"a": Handler(work=self.work, timeout_s=30)},
            **self.options,
        )

    async def work(self, job: Job) -> Effect:
        self.attempts[job.id] += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error

        def effect(tx: Transaction) -> None:
            tx.audit_trail.append(audit_record(f"{job.id}-{self.name}-{self.attempts[job.id]}", reason=str(job.id)))

        return effect


def process(store: Store, name: str = "p", clock: ManualClock | None = None, **options: Any) -> Process:
    return Process(store, name, clock or ManualClock(NOON), options)


async def effects(store: Store) -> Counter[str | None]:
    found = await store.read(lambda snapshot: snapshot.audit_trail.newest(AuditFilter(), after=None, limit=999))
    return Counter(record.reason for record in found)


async def jobs_of(store: Store) -> list[Job]:
    return await store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=999))


async def periods_done(store: Store) -> list[datetime]:
    done = [each.period for each in await jobs_of(store) if each.state is JobState.DONE]
    return sorted(datetime.fromisoformat(period) for period in done if period)


async def queue(store: Store, *names: str, **fields: Any) -> None:
    for name in names:
        await store.write(lambda tx, name=name: tx.jobs.add(job(name, **fields)))  # type: ignore[misc]


async def test_many_processes_do_each_job_once(store: Store) -> None:
    names = [f"job-{number}" for number in range(30)]
    await queue(store, *names)
    processes = [process(store, name) for name in "pqr"]
    await asyncio.gather(*(each.run() for each in processes))
    assert await effects(store) == Counter(names)
    assert sum((each.attempts for each in processes), Counter()) == Counter(names)
    assert {each.state for each in await jobs_of(store)} == {JobState.DONE}


async def test_a_periodic_job_is_done_once_by_many_processes_each_period(store: Store) -> None:
    clock = ManualClock(NOON)
    schedules = (Schedule(kind="a", every_s=3_600, offset_s=600),)
    processes = [process(store, name, clock, schedules=schedules) for name in "pqr"]
    for _ in range(4):
        await asyncio.gather(*(each.run() for each in processes))
        clock.advance(3_600)
    assert await periods_done(store) == [later(600), later(4_200), later(7_800)]
    assert (await effects(store)).total() == 3


async def test_clocks_that_jump_neither_lose_nor_repeat_a_period(store: Store) -> None:
    clock = ManualClock(NOON)
    here = process(store, "p", clock, schedules=(Schedule(kind="a", every_s=3_600),))
    for seconds in (10, 3_600, -7_200, 3_600, 3_600, 86_400, -86_400, 3_600):
        await here.run()
        clock.advance(seconds)
    await here.run()
    done = await periods_done(store)
    assert len(done) == len(set(done)) == (await effects(store)).total()
    assert {later(3_600), later(7_200)} <= set(done)


async def test_a_job_whose_process_died_is_done_by_another_one_after_its_claim(store: Store) -> None:
    await queue(store, "one")
    clock = ManualClock(NOON)
    dead, alive = process(store, "dead", clock), process(store, "alive", clock)
    assert await dead.run._claim() is not None
    await alive.run()
    assert await effects(store) == {}
    clock.advance(LEASE_S)
    await alive.run()
    assert await effects(store) == {"one": 1}


async def test_what_a_process_does_that_was_taken_for_dead_is_rolled_back(store: Store) -> None:
    await queue(store, "one")
    slow_clock, clock = ManualClock(NOON), ManualClock(NOON)
    slow, alive = process(store, "slow", slow_clock), process(store, "alive", clock)
    claimed = await slow.run._claim()
    assert claimed
    clock.advance(LEASE_S + 1)
    await alive.run()
    await slow.run._attempt(claimed)
    assert await effects(store) == {"one": 1}
    (stored,) = await jobs_of(store)
    assert (stored.state, stored.attempts) == (JobState.DONE, 2)
    assert slow.metrics.jobs == [("a", "again")]


async def test_a_job_that_fails_is_tried_later_and_later_and_is_then_visible(store: Store) -> None:
    await queue(store, "one")
    clock = ManualClock(NOON)
    here = process(store, "p", clock)
    here.error = GenerationFailed()
    pauses = []
    (stored,) = await jobs_of(store)
    for _ in range(MAX_ATTEMPTS):
        assert await here.run() == 1
        assert await here.run() == 0
        (stored,) = await jobs_of(store)
        pauses.append((stored.due_at - clock()).total_seconds())
        clock.now = max(clock.now, stored.due_at)
    assert pauses[:-1] == [10, 20, 40, 80, 160, 320, 640]
    assert (stored.state, stored.error, stored.attempts) == (JobState.FAILED, "generation_failed", MAX_ATTEMPTS)
    clock.advance(1_000_000)
    assert await here.run() == 0
    assert [outcome for _, outcome in here.metrics.jobs] == ["again"] * 7 + ["failed"]

    await store.write(lambda tx: tx.jobs.save(stored.retried(at=clock()), claim=None))
    here.error = None
    await here.run()
    assert await effects(store) == {"one": 1}


async def test_a_job_that_kills_its_process_each_time_is_given_up(store: Store) -> None:
    await queue(store, "one")
    clock = ManualClock(NOON)
    here = process(store, "p", clock)
    for _ in range(MAX_ATTEMPTS):
        assert await here.run._claim() is not None
        clock.advance(LEASE_S)
    assert await here.run() == 0
    (stored,) = await jobs_of(store)
    assert (stored.state, stored.error) == (JobState.FAILED, LOST)


async def test_a_claim_is_extended_while_the_job_runs_and_given_back_when_the_process_stops(store: Store) -> None:
    await queue(store, "one")
    clock = ManualClock(NOON)
    go = asyncio.Event()

    async def wait(_job: Job) -> None:
        clock.advance(30)
        await go.wait()

    here = process(store, "p", clock, extend_every_s=0.01)
    here.run = replace(here.run, handlers={"a": Handler(work=wait)})
    running = asyncio.create_task(here.run.forever())

    async def is_extended() -> bool:
        return (await jobs_of(store))[0].due_at == later(30 + LEASE_S)

    await eventually(is_extended)
    running.cancel()
    await asyncio.wait({running})
    (stored,) = await jobs_of(store)
    assert (stored.state, stored.attempts, stored.claim) == (JobState.QUEUED, 0, None)
    assert await process(store, "q", clock).run() == 1
    assert await effects(store) == {"one": 1}


async def test_a_job_that_takes_too_long_is_tried_again(store: Store) -> None:
    await queue(store, "one")
    here = process(store)

    async def hang(_job: Job) -> None:
        await asyncio.Event().wait()

    here.run = replace(here.run, handlers={"a": Handler(work=hang, timeout_s=0.05)})
    assert await here.run() == 1
    (stored,) = await jobs_of(store)
    assert (stored.state, stored.error) == (JobState.QUEUED, "TimeoutError")


async def test_an_effect_that_fails_leaves_neither_itself_nor_the_end_of_the_job(store: Store) -> None:
    await queue(store, "one")
    here = process(store)

    async def work(_job: Job) -> Effect:
        def effect(tx: Transaction) -> None:
            tx.audit_trail.append(audit_record("half"))
            raise ValueError("broken")

        return effect

    here.run = replace(here.run, handlers={"a": Handler(work=work)})
    await here.run()
    assert await effects(store) == {}
    assert (await jobs_of(store))[0].state is JobState.QUEUED


async def test_only_kinds_with_a_handler_are_claimed(store: Store) -> None:
    await queue(store, "one", kind="b")
    assert await process(store).run() == 0


def test_only_a_failed_job_is_retried() -> None:
    with pytest.raises(Conflict):
        job("one").retried(at=NOON)
