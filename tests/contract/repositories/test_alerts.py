"""The repository of alerts, on every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatbill.application.ports.repositories.alerts import AlertFilter
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.store import Store
from chatbill.domain.monitoring.alerts import Alert, AlertKind
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import AlertId
from tests.kit.rows import ALICE, alert, later


async def found(store: Store, after: Position | None = None, **filters: object) -> list[Alert]:
    chosen = AlertFilter(**filters)  # type: ignore[arg-type]
    return await store.read(lambda snapshot: snapshot.alerts.newest(chosen, after=after, limit=9))


async def test_alerts_come_back_as_they_were_newest_first(store: Store) -> None:
    one = alert("one", evidence={"share": 0.5, "model": "m", "none": None})
    two = alert("two", kind=AlertKind.DISK_FULL, opened_at=later(1))
    assert await store.write(lambda tx: [tx.alerts.add(one), tx.alerts.add(two)]) == [True, True]
    assert await found(store) == [two, one]
    assert await found(store, kind=AlertKind.DISK_FULL) == [two]
    assert await found(store, Position(two.opened_at, two.id)) == [one]
    assert await store.read(lambda snapshot: snapshot.alerts.open_ones()) == [one, two]
    closed = one.closed(at=later(2))
    await store.write(lambda tx: tx.alerts.save(closed))
    assert await found(store, is_open=True) == [two]
    assert await found(store, is_open=False) == [closed]
    assert await store.write(lambda tx: tx.alerts.lock(one.id)) == closed


async def test_there_is_one_open_alert_of_a_kind_and_subject(store: Store) -> None:
    one = alert("one")
    await store.write(lambda tx: tx.alerts.add(one))
    assert await store.write(lambda tx: tx.alerts.add(alert("two"))) is False
    assert await store.write(lambda tx: tx.alerts.add(alert("three", subject="other"))) is True
    await store.write(lambda tx: tx.alerts.save(one.closed(at=later(1))))
    assert await store.write(lambda tx: tx.alerts.add(alert("four"))) is True


async def test_a_person_acknowledges_and_only_what_exists_is_saved(store: Store) -> None:
    one = alert("one")
    await store.write(lambda tx: tx.alerts.add(one))
    known = one.acknowledged(ALICE, at=later(1))
    await store.write(lambda tx: tx.alerts.save(known))
    assert await store.read(lambda snapshot: snapshot.alerts.get(one.id)) == known
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.alerts.save(replace(one, id=AlertId("none"))))
