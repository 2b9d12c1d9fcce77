"""The ledger, which only grows."""

from __future__ import annotations

from collections.abc import Sequence

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest, within
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.ledger import LedgerFilter
from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.billing.subjects import CODE, INTERACTION, PAYMENT
from chatbill.domain.shared.ids import EntryId, HoldId, ModelId, WalletId


class MemoryLedger:
    """Entries that are appended and never touched again."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, entry_id: EntryId) -> LedgerEntry | None:
        return self._tables.entries.get(entry_id)

    def append(self, entry: LedgerEntry) -> None:
        cause, tables = entry.cause, self._tables
        require_row(tables.wallets.get, entry.wallet_id, "wallet")
        require_row(tables.holds.get, cause.hold_id, "hold")
        require_row(tables.users.get, cause.author, "user")
        if cause.subject and cause.subject.kind == INTERACTION:
            require_row(tables.interactions.get, cause.subject.id, "interaction")
        if cause.subject and cause.subject.kind == PAYMENT:
            require_row(tables.payments.get, cause.subject.id, "payment")
            tables.unique(f"{entry.kind} of payment", cause.subject.id, entry.id)
        if cause.subject and cause.subject.kind == CODE:
            tables.unique("code of wallet", (cause.subject.id, entry.wallet_id), entry.id)
        if entry.kind is EntryKind.CHARGE:
            tables.unique("charge of hold", cause.hold_id, entry.id)
        tables.unique("version of wallet", (entry.wallet_id, entry.wallet_version), entry.id)
        tables.entries.insert(entry.id, entry)

    def of_wallet(
        self,
        wallet_id: WalletId,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        below_version: int | None = None,
        limit: int,
    ) -> list[LedgerEntry]:
        found = [
            entry
            for entry in self._tables.entries.rows()
            if entry.wallet_id == wallet_id
            and (kind is None or entry.kind is kind)
            and within(entry.created_at, period)
            and (below_version is None or entry.wallet_version < below_version)
        ]
        found.sort(key=lambda entry: entry.wallet_version, reverse=True)
        return found[:limit]

    def newest(self, filters: LedgerFilter, *, after: Position | None, limit: int) -> list[LedgerEntry]:
        found = [
            entry
            for entry in self._tables.entries.rows()
            if filters.wallet_id in {None, entry.wallet_id}
            and filters.kind in {None, entry.kind}
            and filters.model in {None, self._model_of(entry)}
            and within(entry.created_at, filters.period)
        ]
        return newest(found, lambda entry: (entry.created_at, entry.id), after)[:limit]

    def refunds_of(self, holds: Sequence[HoldId]) -> list[LedgerEntry]:
        rows = self._tables.entries.rows()
        return [entry for entry in rows if entry.kind is EntryKind.REFUND and entry.cause.hold_id in holds]

    def _model_of(self, entry: LedgerEntry) -> ModelId | None:
        subject = entry.cause.subject
        of = self._tables.interactions.get(subject.id) if subject and subject.kind == INTERACTION else None
        return of.model if of else None
