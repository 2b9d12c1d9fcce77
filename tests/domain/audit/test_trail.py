"""What the audit says of entries that persons made, of their records, and of codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.domain.audit.proof import Tally, audit
from chatbill.domain.audit.rows import AuditInput, CodeUsage, RecordedEntry
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import AuditRecordId, UserId
from tests.kit.rows import audit_record
from tests.kit.support import world

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT, ANN = UserId("root"), UserId("ann")
GOOD: dict[str, Any] = {
    "id": "entry",
    "kind": EntryKind.ADJUSTMENT,
    "author": ROOT,
    "amount": -5,
    "made_at": NOW,
    "action": AuditAction.CREDITS_ADJUSTED,
    "actor": ROOT,
    "recorded": -5,
    "recorded_at": NOW,
}
REDEEMED = GOOD | {"kind": EntryKind.GRANT, "author": None, "action": AuditAction.CODE_REDEEMED}


def broken(**rows: Any) -> list[str]:
    """Return the rules that the rows break."""
    return [each.rule for each in audit(AuditInput(wallets=(), **rows), now=NOW, tally=Tally())]


@pytest.mark.parametrize("good", [GOOD, REDEEMED])
def test_an_entry_with_its_record_is_right(good: dict[str, Any]) -> None:
    assert broken(recorded=[RecordedEntry(**good)]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"action": None, "actor": None, "recorded": None, "recorded_at": None},
        {"kind": None, "author": None, "amount": None, "made_at": None},
        {"actor": ANN},
        {"actor": None},
        {"recorded": 5},
        {"recorded": None},
        {"recorded_at": NOW + timedelta(microseconds=1)},
        {"action": AuditAction.CHARGE_REFUNDED},
        {"action": AuditAction.USER_SUSPENDED},
        {"kind": EntryKind.REFUND},
    ],
)
def test_an_entry_and_its_record_must_agree(change: dict[str, Any]) -> None:
    assert broken(recorded=[RecordedEntry(**GOOD | change)]) == ["trail"]


@pytest.mark.parametrize(
    ("used", "credited", "terms", "rules"),
    [
        (2, 100, {"uses": 2, "credits": 50}, []),
        (0, 0, {"uses": 2, "credits": 50}, []),
        (3, 150, {"uses": 2, "credits": 50}, ["codes"]),
        (2, 99, {"uses": 2, "credits": 50}, ["codes"]),
        (1, 50, {}, ["codes"]),
    ],
)
def test_a_code_is_redeemed_within_its_terms(used: int, credited: int, terms: dict[str, int], rules: list[str]) -> None:
    assert broken(code_uses=[CodeUsage(code_id="c", used=used, credited=credited, **terms)]) == rules


async def test_a_record_in_memory_without_an_entry_is_named() -> None:
    store = MemoryStore()
    here = world(store=store)
    alice = await here.person()

    found: list[str] = []
    await here.use_cases.audit.verify_ledger(lambda difference: found.append(difference.rule))
    assert found == []
    forged = audit_record("forged", id=AuditRecordId("forged"), actor=alice.user_id)
    await store.write(lambda tx: tx.audit_trail.append(forged))
    await here.use_cases.audit.verify_ledger(lambda difference: found.append(difference.rule))
    assert found == ["trail"]
