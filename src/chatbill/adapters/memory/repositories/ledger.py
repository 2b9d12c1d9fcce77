"""The ledger, which only grows."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.rows import insert, within
from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories.paging import Period
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import (
    EntryId,
    HoldId,
    WalletId,
)


class MemoryLedger:
    """Entries that are appended and never touched again."""

    def __init__(self) -> None:
        self.table: Table[str, LedgerEntry] = Table()
        self._versions: Table[tuple[WalletId, int], EntryId] = Table()
        self._charges: Table[HoldId, EntryId] = Table()

    def get(self, entry_id: EntryId) -> LedgerEntry | None:
        return self.table.get(entry_id)

    def append(self, entry: LedgerEntry) -> None:
        version = (entry.wallet_id, entry.wallet_version)
        if self._versions.get(version) is not None:
            raise InvariantViolation(f"wallet {entry.wallet_id} has an entry {entry.wallet_version} already")
        if entry.kind is EntryKind.CHARGE and entry.hold_id is not None:
            if self._charges.get(entry.hold_id) is not None:
                raise InvariantViolation(f"hold {entry.hold_id} was charged already")
            self._charges.put(entry.hold_id, entry.id)
        self._versions.put(version, entry.id)
        insert(self.table, entry.id, entry)

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
            for entry in self.table.rows()
            if entry.wallet_id == wallet_id
            and (kind is None or entry.kind is kind)
            and within(entry.created_at, period)
            and (below_version is None or entry.wallet_version < below_version)
        ]
        found.sort(key=lambda entry: entry.wallet_version, reverse=True)
        return found[:limit]

    def tables(self) -> tuple[Table[str, LedgerEntry], Table[tuple[WalletId, int], EntryId], Table[HoldId, EntryId]]:
        """The entries and their unique keys."""
        return self.table, self._versions, self._charges
