"""What one store refuses, all refuse: each rule of the books, on every store."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.adapters.memory import rules
from chatbill.adapters.persistence.sql.rules import ON_POSTGRES, ON_SQLITE, TRIGGERS
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.shared.errors import ChatbillError, EmailTaken, InvariantViolation, UsernameTaken
from chatbill.domain.shared.ids import ApiKeyId, HoldId, PaymentId, SessionId, UserId
from tests.contract.rule_acts import CI, JANUARY, NOWHERE, Act, both, fill
from tests.contract.rule_cases import KEPT, OUT_OF_REACH, REFUSED, Look
from tests.kit.rows import ALICE, BOB, new_wallet, user
from tests.kit.stores import EVERY_STORE, STORES


@pytest_asyncio.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = STORES[request.param](tmp_path)
    await opened.write(fill)
    yield opened
    await opened.close()


def everything(snapshot: Snapshot) -> list[Any]:
    """Every row that an act can have changed or added."""
    return [
        list(snapshot.audit.wallets()),
        list(snapshot.audit.owners()),
        list(snapshot.audit.entries()),
        list(snapshot.audit.settlements()),
        [snapshot.users.get(UserId(name)) for name in ("alice", "bob", "new")],
        [snapshot.holds.get(HoldId(name)) for name in ("hold-first", "hold-second", "spare", "new")],
        [snapshot.payments.get(PaymentId(name)) for name in ("pending", "failed", "paid", "returned", "new")],
        [snapshot.sessions.get(SessionId(name)) for name in ("session", "new")],
        [snapshot.second_factors.get(UserId(name)) for name in ("alice", "bob", NOWHERE)],
        [snapshot.sessions.token(digest) for digest in ("digest", "new")],
        [snapshot.api_keys.get(ApiKeyId(name)) for name in ("ci", "gone", "new")],
        snapshot.api_keys.month(CI, JANUARY.starts_at),
        snapshot.interactions.history(ALICE, HistoryFilter(), after=None, limit=9),
        snapshot.conversations.of_user(ALICE, after=None, limit=9),
        [snapshot.idempotency.get(ALICE, key) for key in ("key", "new")],
        snapshot.outbox.after(None, 99),
        snapshot.codes.newest(after=None, limit=9),
        snapshot.audit_trail.newest(AuditFilter(), after=None, limit=9),
    ]


@pytest.mark.parametrize(
    "act",
    [pytest.param(act, id=f"{name}-{number}") for name, acts in REFUSED.items() for number, act in enumerate(acts)],
)
async def test_what_breaks_a_rule_is_refused_and_nothing_of_it_is_kept(store: Store, act: Act) -> None:
    before = await store.read(everything)
    with pytest.raises(InvariantViolation):
        await store.write(act)
    assert await store.read(everything) == before


@pytest.mark.parametrize(
    ("look", "act"),
    [
        pytest.param(look, act, id=f"{name}-{number}")
        for name, (look, acts) in KEPT.items()
        for number, act in enumerate(acts)
    ],
)
async def test_what_never_changes_is_kept_whatever_is_saved(store: Store, look: Look, act: Act) -> None:
    before = await store.read(look)
    try:
        await store.write(act)
    except ChatbillError as error:
        assert isinstance(error, InvariantViolation)  # noqa: PT017 - a store may pass over it, too
    assert await store.read(look) == before


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"username": "ALICE"}, UsernameTaken), ({"email": "Alice@example.org"}, EmailTaken)],
)
async def test_names_and_addresses_that_are_taken_are_refused_by_name(
    store: Store, changes: dict[str, str], error: type[ChatbillError]
) -> None:
    before = await store.read(everything)
    with pytest.raises(error):
        await store.write(
            both(lambda tx: tx.wallets.add(new_wallet("new")), lambda tx: tx.users.add(user("new", **changes)))
        )
    with pytest.raises(error):
        await store.write(lambda tx: tx.users.save(user("bob", id=BOB, **changes)))
    assert await store.read(everything) == before


def test_every_rule_of_the_store_in_memory_has_a_case() -> None:
    tables = (
        "wallets|users|sessions|api_keys|api_key_months|holds|interactions|payments|ledger_entries|idempotency_keys"
        "|redeem_codes|audit_trail|second_factors"
    )
    named = set(re.findall(rf'"((?:{tables})_[a-z_]+)"', inspect.getsource(rules)))
    assert len(named) > 40
    assert named - {*REFUSED, *KEPT} == set()


def test_every_trigger_of_a_database_has_a_case_or_cannot_be_reached() -> None:
    assert (TRIGGERS | ON_SQLITE | ON_POSTGRES) - {*REFUSED, *KEPT, *OUT_OF_REACH} == set()
