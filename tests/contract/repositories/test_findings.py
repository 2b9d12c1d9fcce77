"""Alerts are opened, repeated and closed by what is found, on every store and by several processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from chatbill.application.monitoring import findings
from chatbill.application.monitoring.record_findings import MAIL_ALERT, SEND_ALERT, AlertChange, RecordFindings
from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.ports.repositories.jobs import JobFilter
from chatbill.application.ports.store import Store
from chatbill.application.shared.bounds import AlertBounds
from chatbill.domain.billing.events import BillingEvent, EventKind
from chatbill.domain.monitoring.alerts import COOL_DOWN_S, STALE_S, Alert, AlertKind, Finding
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import EntryId
from chatbill.testing import CountingIds, ManualClock
from tests.kit.rows import ALICE, NOON, PURSE, audit_record, job, later

SICK = Finding(
    kind=AlertKind.MODEL_UNHEALTHY, subject="demo-pro at a", source="process:a", evidence={"model": "demo-pro"}
)
MISMATCH = Finding(kind=AlertKind.LEDGER_MISMATCH, subject="ledger", source="ledger", evidence={"differences": 2})


def recorder(
    store: Store, clock: ManualClock, name: str = "p", *, sends: tuple[str, ...] = (SEND_ALERT,)
) -> RecordFindings:
    return RecordFindings(store=store, clock=clock, new_id=CountingIds(name), sends=sends)


async def alerts(store: Store, *, is_open: bool | None = None) -> list[Alert]:
    filters = AlertFilter(is_open=is_open)
    return await store.read(lambda snapshot: snapshot.alerts.newest(filters, after=None, limit=99))


async def sent(store: Store) -> list[str]:
    jobs = await store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(kind=SEND_ALERT), after=None, limit=99))
    return [str(each.parameters["change"]) for each in reversed(jobs)]


async def test_an_alert_is_opened_once_repeated_after_the_cool_down_and_closed_by_itself(store: Store) -> None:
    clock = ManualClock(NOON)
    record = recorder(store, clock)
    changes = []
    for _ in range(COOL_DOWN_S // 60 + 1):
        changes += await record("process:a", [SICK])
        clock.advance(60)
    changes += await record("process:a", [])
    assert [change for change, _ in changes] == [AlertChange.OPENED, AlertChange.REPEATED, AlertChange.CLOSED]
    assert await sent(store) == ["opened", "repeated", "closed"]
    (alert,) = await alerts(store)
    assert (alert.times, alert.opened_at, alert.evidence["model"]) == (2, NOON, "demo-pro")
    assert not alert.is_open
    assert await record("process:a", []) == []


async def test_each_receiver_of_alerts_has_a_job_of_its_own(store: Store) -> None:
    await recorder(store, ManualClock(NOON), sends=(SEND_ALERT, MAIL_ALERT))("process:a", [SICK])
    jobs = await store.read(lambda snapshot: snapshot.jobs.newest(JobFilter(), after=None, limit=99))
    assert {(each.kind, each.parameters["change"]) for each in jobs} == {(SEND_ALERT, "opened"), (MAIL_ALERT, "opened")}


async def test_what_one_source_does_not_find_says_nothing_about_another(store: Store) -> None:
    clock = ManualClock(NOON)
    record = recorder(store, clock)
    await record("process:a", [SICK])
    await record("ledger", [MISMATCH])
    assert await record("process:b", []) == []
    assert len(await alerts(store, is_open=True)) == 2


async def test_the_alert_of_a_process_that_is_gone_closes_and_that_of_the_ledger_stays(store: Store) -> None:
    clock = ManualClock(NOON)
    record = recorder(store, clock)
    await record("process:gone", [replace(SICK, source="process:gone")])
    await record("ledger", [MISMATCH])
    clock.advance(STALE_S)
    assert [change for change, _ in await record("process:b", [])] == [AlertChange.CLOSED]
    assert [each.kind for each in await alerts(store, is_open=True)] == [AlertKind.LEDGER_MISMATCH]


async def test_an_acknowledged_alert_is_not_repeated_and_still_closes(store: Store) -> None:
    clock = ManualClock(NOON)
    record = recorder(store, clock)
    ((_, alert),) = await record("process:a", [SICK])
    await store.write(lambda tx: tx.alerts.save(alert.acknowledged(ALICE, at=NOON)))
    clock.advance(2 * COOL_DOWN_S)
    assert await record("process:a", [SICK]) == []
    assert [change for change, _ in await record("process:a", [])] == [AlertChange.CLOSED]
    assert (await alerts(store))[0].acknowledged_by == ALICE


async def test_two_processes_that_find_the_same_at_once_open_one_alert_and_tell_once(store: Store) -> None:
    clock = ManualClock(NOON)
    records = [recorder(store, clock, name) for name in "pqr"]
    await asyncio.gather(*(record("store", [replace(SICK, source="store")]) for record in records))
    assert len(await alerts(store)) == 1
    assert await sent(store) == ["opened"]


async def test_nothing_is_sent_where_there_is_no_receiver(store: Store) -> None:
    await recorder(store, ManualClock(NOON), sends=())("process:a", [SICK])
    assert await sent(store) == []


async def test_an_attacker_cannot_fill_the_table(store: Store) -> None:
    many = [replace(SICK, subject=str(number)) for number in range(500)]
    await recorder(store, ManualClock(NOON))("process:a", many)
    assert len(await store.read(lambda snapshot: snapshot.alerts.open_ones())) == 100


async def test_the_store_shows_failed_jobs_refused_sign_ins_and_large_moves_of_money(store: Store) -> None:
    def moved(kind: EventKind, amount: int, at: int) -> BillingEvent:
        return BillingEvent(kind=kind, wallet_id=PURSE, amount=amount, at=later(at), entry_id=EntryId(f"entry{amount}"))

    def work(tx: object) -> None:
        tx.jobs.add(replace(job("x"), claim="c", attempts=8).broken("e", at=NOON))  # type: ignore[attr-defined]
        for number in range(5):
            record = audit_record(f"r{number}", action=AuditAction.SIGN_IN_FAILED, at=later(number))
            tx.audit_trail.append(record)  # type: ignore[attr-defined]
        other = audit_record("other", action=AuditAction.SIGN_IN_FAILED, at=later(1), address="192.0.2.8")
        tx.audit_trail.append(other)  # type: ignore[attr-defined]
        for event in (
            moved(EventKind.REFUNDED, 500, 0),
            moved(EventKind.ADJUSTED, -700, 1),
            moved(EventKind.ADJUSTED, 499, 2),
            moved(EventKind.GRANTED, 900, 3),
            moved(EventKind.REFUNDED, 800, -90_000),
        ):
            tx.outbox.add(event)  # type: ignore[attr-defined]

    await store.write(work)
    bounds = AlertBounds(refused_per_address=5, credits=500)
    found = await store.read(lambda snapshot: findings.of_store(snapshot, later(60), bounds))
    assert [(each.kind, each.subject) for each in found] == [
        (AlertKind.JOBS_FAIL, "a"),
        (AlertKind.SIGN_INS_FAIL, "192.0.2.7"),
        (AlertKind.MONEY_MOVED, "entry-700"),
        (AlertKind.MONEY_MOVED, "entry500"),
    ]
    switched_off = AlertBounds(refused_per_address=0, credits=0)
    quiet = await store.read(lambda snapshot: findings.of_store(snapshot, later(60), switched_off))
    assert [each.kind for each in quiet] == [AlertKind.JOBS_FAIL]


@pytest.mark.parametrize("minutes", [11, 60])
async def test_old_refusals_are_forgotten(store: Store, minutes: int) -> None:
    await store.write(lambda tx: tx.audit_trail.append(audit_record("r", action=AuditAction.SIGN_IN_FAILED)))
    bounds = AlertBounds(refused_per_address=1)
    found = await store.read(lambda snapshot: findings.of_store(snapshot, later(60 * minutes), bounds))
    assert found == []
