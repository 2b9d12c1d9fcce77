"""The repository of ledger entries."""

from __future__ import annotations

from typing import Protocol

from chatbill.application.ports.repositories.paging import Period
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.shared.ids import (
    EntryId,
    WalletId,
)


class LedgerReader(Protocol):
    def get(self, entry_id: EntryId) -> LedgerEntry | None: ...

    def of_wallet(
        self,
        wallet_id: WalletId,
        *,
        kind: EntryKind | None = None,
        period: Period = Period(),
        below_version: int | None = None,
        limit: int,
    ) -> list[LedgerEntry]:
        """Return entries of a wallet, newest first, with a version under `below_version`."""
        ...


class LedgerRepository(LedgerReader, Protocol):
    def append(self, entry: LedgerEntry) -> None:
        """Insert an entry. Raises `InvariantViolation` if the wallet has this version or the hold a charge."""
        ...
