"""The repository of reports, in memory."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories.reports import RollUpRow
from chatbill.domain.billing.ledger import LedgerEntry
from chatbill.domain.reports.finance import CreditMovement
from chatbill.domain.reports.usage import EndedInteraction
from chatbill.domain.shared.ids import UserId, WalletId


class MemoryReports:
    """Implements `ReportRepository`: reads interactions and entries, and stores movements, roll-ups and notes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def note(self, kind: str, id_: str) -> str | None:
        return self._tables.notes.get((kind, id_))

    def ended(self, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        found = []
        for row in self._tables.interactions.rows():
            at, latency = row.finished_at, row.processing_time_ms
            if at is not None and latency is not None and start <= at < end:
                found.append(
                    EndedInteraction(
                        id=row.id,
                        at=at,
                        user_id=row.user_id,
                        api_key_id=row.api_key_id,
                        model=row.model,
                        outcome=row.outcome,
                        prompt_tokens=row.usage.prompt_tokens,
                        completion_tokens=row.usage.completion_tokens,
                        credits_charged=row.credits_charged,
                        latency_ms=latency,
                        first_token_ms=row.first_token_ms,
                    )
                )
        yield from sorted(found, key=lambda each: each.at)

    def ended_of(self, user_id: UserId, start: datetime, end: datetime) -> Generator[EndedInteraction, None, None]:
        yield from (each for each in self.ended(start, end) if each.user_id == user_id)

    def movements(self, start: datetime, end: datetime) -> Generator[CreditMovement, None, None]:
        found = [each for each in self._tables.movements.rows() if start <= each.at < end]
        yield from sorted(found, key=lambda each: each.at)

    def movements_of(self, wallet_id: WalletId) -> Generator[CreditMovement, None, None]:
        found = [each for each in self._tables.movements.rows() if each.wallet_id == wallet_id]
        yield from sorted(found, key=lambda each: each.wallet_version)

    def rollups(self, series: str, start: datetime, end: datetime) -> Generator[RollUpRow, None, None]:
        found = [row for row in self._tables.rollups.rows() if row.series == series and start <= row.starts_at < end]
        yield from sorted(found, key=lambda row: (row.starts_at, row.key))

    def entries(self, wallet_id: WalletId, *, above_version: int, limit: int) -> list[LedgerEntry]:
        found = [
            entry
            for entry in self._tables.entries.rows()
            if entry.wallet_id == wallet_id and entry.wallet_version > above_version
        ]
        return sorted(found, key=lambda entry: entry.wallet_version)[:limit]

    def wallets(self, *, after: str, limit: int) -> list[WalletId]:
        return sorted(wallet.id for wallet in self._tables.wallets.rows() if wallet.id > after)[:limit]

    def next_activity(self, start: datetime) -> datetime | None:
        ends = (row.finished_at for row in self._tables.interactions.rows())
        moments = [*filter(None, ends), *(entry.created_at for entry in self._tables.entries.rows())]
        return min((at for at in moments if at >= start), default=None)

    def count_users(self, before: datetime) -> int:
        return sum(user.created_at < before for user in self._tables.users.rows())

    def sum_of_holds(self) -> int:
        return sum(wallet.held for wallet in self._tables.wallets.rows())

    def next_rollup(self, series: str, start: datetime) -> datetime | None:
        rows = self._tables.rollups.rows()
        return min((row.starts_at for row in rows if row.series == series and row.starts_at >= start), default=None)

    def lock_note(self, kind: str, id_: str, *, default: str) -> str:
        if self.note(kind, id_) is None:
            self.put_note(kind, id_, default)
        return self.note(kind, id_) or default

    def put_note(self, kind: str, id_: str, body: str) -> None:
        self._tables.notes.put((kind, id_), body)

    def remove_note(self, kind: str, id_: str) -> None:
        self._tables.notes.remove((kind, id_))

    def add_movement(self, movement: CreditMovement) -> None:
        self._tables.movements.insert((movement.wallet_id, movement.wallet_version), movement)

    def put_rollup(self, row: RollUpRow) -> None:
        self._tables.rollups.put((row.series, row.starts_at, row.key), row)

    def remove_rollups(self, series: str, start: datetime, end: datetime) -> None:
        for row in list(self.rollups(series, start, end)):
            self._tables.rollups.remove((row.series, row.starts_at, row.key))

    def clear(self) -> None:
        tables: tuple[Table[Any, Any], ...] = (self._tables.notes, self._tables.movements, self._tables.rollups)
        for table in tables:
            for key, _ in list(table.items()):
                table.remove(key)
