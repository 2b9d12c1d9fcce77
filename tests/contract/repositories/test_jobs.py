"""The repository of jobs, on every store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.store import Store
from chatbill.domain.jobs.jobs import Job, JobState
from chatbill.domain.shared.errors import AlreadySettled
from tests.kit.rows import NOON, job, later

KINDS = ("a", "b")


async def claimed(store: Store, claim: str = "c", kinds: tuple[str, ...] = KINDS, at: int = 10) -> Job | None:
    def work(tx: object) -> Job | None:
        found = tx.jobs.lock_due(kinds, later(at))  # type: ignore[attr-defined]
        if found is None:
            return None
        tx.jobs.save(found.claimed(claim, at=later(at)), claim=found.claim)  # type: ignore[attr-defined]
        return found.claimed(claim, at=later(at))  # type: ignore[no-any-return]

    return await store.write(work)


async def added(store: Store, *jobs: Job) -> list[bool]:
    return await store.write(lambda tx: [tx.jobs.add(each) for each in jobs])


async def test_jobs_come_back_as_they_were_newest_first(store: Store) -> None:
    one = job("one", parameters={"text": 'ü "quoted"', "count": 3, "flag": True, "none": None})
    two = job("two", kind="b", created_at=later(1))
    await added(store, one, two)
    read = store.read
    assert await read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=9)) == [two, one]
    assert await read(lambda snapshot: snapshot.jobs.newest(JobFilter(kind="a"), after=None, limit=9)) == [one]
    place = Position(two.created_at, two.id)
    assert await read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=place, limit=9)) == [one]
    failed = JobFilter(state=JobState.FAILED)
    assert await read(lambda snapshot: snapshot.jobs.newest(failed, after=None, limit=9)) == []
    assert await read(lambda snapshot: snapshot.jobs.get(one.id)) == one


async def test_there_is_one_job_of_a_kind_and_period(store: Store) -> None:
    first = [job("one", period="p"), job("two", period="q"), job("three", kind="b", period="p")]
    assert await added(store, *first) == [True, True, True]
    assert await added(store, job("four", period="p"), job("five"), job("six")) == [False, True, True]


async def test_the_job_that_is_due_longest_is_claimed_first_and_once(store: Store) -> None:
    await added(store, job("late", due_at=later(9)), job("early", due_at=later(1)), job("future", due_at=later(11)))
    await added(store, job("other", kind="unknown"))
    assert await store.read(lambda snapshot: snapshot.jobs.first_due(KINDS, later(10))) == later(1)
    assert await store.read(lambda snapshot: snapshot.jobs.first_due(KINDS, NOON)) is None
    assert await store.read(lambda snapshot: snapshot.jobs.first_due(None, NOON)) == NOON
    found = [await claimed(store, str(number)) for number in range(3)]
    assert [each and each.id for each in found] == ["early", "late", None]


async def test_a_claim_that_was_not_extended_is_taken_over_and_its_holder_changes_nothing(store: Store) -> None:
    await added(store, job("one"))
    first = await claimed(store, "first", at=0)
    assert first is not None
    extended = first.extended(at=later(30))
    await store.write(lambda tx: tx.jobs.save(extended, claim="first"))
    assert await claimed(store, "second", at=61) is None
    second = await claimed(store, "second", at=91)
    assert second is not None
    assert second.attempts == 2
    with pytest.raises(AlreadySettled):
        await store.write(lambda tx: tx.jobs.save(first.done(at=later(92)), claim="first"))
    await store.write(lambda tx: tx.jobs.save(second.done(at=later(93)), claim="second"))
    with pytest.raises(AlreadySettled):
        await store.write(lambda tx: tx.jobs.save(second.done(at=later(93)), claim="second"))
    stored = await store.read(lambda snapshot: snapshot.jobs.get(first.id))
    assert stored == second.done(at=later(93))


async def test_unfinished_and_failed_jobs_are_counted_and_done_ones_are_forgotten(store: Store) -> None:
    await added(store, job("one"), job("two"), job("three"))
    first, second = await claimed(store, "x"), await claimed(store, "y")
    assert first
    assert second
    worn_out = second
    for _ in range(7):
        worn_out = worn_out.broken("e", at=NOON).claimed("y", at=NOON)
    await store.write(lambda tx: tx.jobs.save(first.done(at=later(12)), claim="x"))
    await store.write(lambda tx: tx.jobs.save(worn_out.broken("e", at=later(12)), claim="y"))
    counts = await store.read(lambda snapshot: dict(snapshot.jobs.counts()))
    assert counts == {("a", "queued"): 1, ("a", "failed"): 1}
    assert await store.write(lambda tx: tx.jobs.forget(finished_before=later(12), limit=9)) == 0
    assert await store.write(lambda tx: tx.jobs.forget(finished_before=later(12) + timedelta(seconds=1), limit=9)) == 1
    left = await store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=9))
    assert {each.id for each in left} == {second.id, "two", "three", "one"} - {first.id}
