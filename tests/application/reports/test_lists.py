"""The lists behind the figures select and sort on every store as they do on raw rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chatbill.application.ports.repositories.interactions import InteractionFilter
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.application.ports.store import Store
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.ids import ModelId, UserId, WalletId
from tests.kit.histories import AUTUMN, Writer, busy_history, raw_rows

PERIOD = Period(start=AUTUMN + timedelta(hours=20), end=AUTUMN + timedelta(hours=61))


@pytest.fixture
async def filled(store: Store) -> Store:
    writer = Writer(store, AUTUMN)
    await writer.people()
    await writer.write(busy_history(3, 120))
    return store


async def test_entries_of_all_wallets_are_selected_newest_first(filled: Store) -> None:
    raw = await raw_rows(filled)
    models: dict[str, str] = {each.id: each.model for each in raw.interactions}
    ordered = sorted(raw.entries, key=lambda each: (each.created_at, each.id), reverse=True)
    chosen: list[dict[str, Any]] = [
        {},
        {"kind": EntryKind.CHARGE},
        {"wallet_id": WalletId("wallet-bob"), "period": PERIOD},
        {"model": ModelId("demo-pro"), "kind": EntryKind.REFUND},
    ]
    for filters in chosen:
        wanted = [
            each
            for each in ordered
            if filters.get("kind") in {None, each.kind}
            and filters.get("wallet_id") in {None, each.wallet_id}
            and filters.get("model") in {None, models.get(each.cause.subject.id) if each.cause.subject else ""}
            and ("period" not in filters or AUTUMN + timedelta(hours=20) <= each.created_at < PERIOD.end)  # type: ignore[operator]
        ]
        assert wanted
        query = LedgerFilter(**filters)
        found = await filled.read(lambda one, query=query: one.ledger.newest(query, after=None, limit=999))  # type: ignore[misc]
        assert found == wanted
        last = Position(wanted[0].created_at, wanted[0].id)
        rest = await filled.read(lambda one, query=query, last=last: one.ledger.newest(query, after=last, limit=3))  # type: ignore[misc]
        assert rest == wanted[1:4]


async def test_interactions_of_all_people_are_selected_by_their_end_newest_first(filled: Store) -> None:
    raw = await raw_rows(filled)
    ordered = sorted(raw.interactions, key=lambda each: (each.created_at, each.id), reverse=True)
    chosen: list[dict[str, Any]] = [
        {},
        {"user_id": UserId("bob"), "outcome": Outcome.COMPLETED},
        {"model": ModelId("demo-pro"), "period": PERIOD},
        {"text": "CAPITAL of"},
    ]
    for filters in chosen:
        wanted = [
            each
            for each in ordered
            if filters.get("user_id") in {None, each.user_id}
            and filters.get("outcome") in {None, each.outcome}
            and filters.get("model") in {None, each.model}
            and ("period" not in filters or (each.finished_at and PERIOD.start <= each.finished_at < PERIOD.end))  # type: ignore[operator]
        ]
        assert wanted
        query = InteractionFilter(**filters)
        found = await filled.read(lambda one, query=query: one.interactions.newest(query, after=None, limit=999))  # type: ignore[misc]
        assert found == wanted
