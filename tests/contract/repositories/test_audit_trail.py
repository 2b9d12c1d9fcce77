"""The repository of the audit trail, on every store."""

from __future__ import annotations

import pytest

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.ids import AuditRecordId
from tests.kit.rows import ALICE, BOB, NOON, audit_record, later

REFUSED = AuditAction.SIGN_IN_FAILED
BARE = AuditRecord(id=AuditRecordId("bare"), at=later(2), action=REFUSED)
RECORDS = (
    audit_record("a"),
    audit_record("b", at=later(1), actor=BOB, before={"text": 'ü "quoted" 🌊', "flag": True, "none": None}),
    BARE,
    audit_record("c", at=later(2), action=AuditAction.KEY_MADE, subject_kind="key", subject_id="ci"),
)


async def found(store: Store, *, after: Position | None = None, limit: int = 9, **filters: object) -> list[AuditRecord]:
    chosen = AuditFilter(**filters)  # type: ignore[arg-type]
    return await store.read(lambda snapshot: snapshot.audit_trail.newest(chosen, after=after, limit=limit))


@pytest.fixture
async def filled(store: Store) -> Store:
    def work(tx: Transaction) -> None:
        for record in RECORDS:
            tx.audit_trail.append(record)

    await store.write(work)
    return store


async def test_records_come_back_as_they_were_newest_first(filled: Store) -> None:
    a, b, bare, c = RECORDS
    assert await found(filled) == [c, bare, b, a]
    assert await found(filled, limit=1) == [c]
    assert await found(filled, after=Position(bare.at, bare.id)) == [b, a]


async def test_records_are_found_by_actor_action_subject_and_time(filled: Store) -> None:
    a, b, bare, c = RECORDS
    assert await found(filled, actor=BOB) == [b]
    assert await found(filled, actor=ALICE) == [c, a]
    assert await found(filled, action=REFUSED) == [bare]
    assert await found(filled, subject="bob") == [b, a]
    assert await found(filled, subject="bob", actor=ALICE) == [a]
    assert await found(filled, period=Period(start=later(1), end=later(2))) == [b]
    assert await found(filled, period=Period(end=NOON)) == []
