"""The repository of ledger entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chatbill.application.ports.repositories.paging import Period, Position
from chatbill.domain.billing.ledger import EntryKind, LedgerEntry
from chatbill.domain.shared.ids import (
    EntryId,
    HoldId,
    ModelId,
    WalletId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFilter:
    """Selects entries of all wallets; what is None selects all. `model` is that of the reply that an entry is for."""

    wallet_id: WalletId | None = None
    kind: EntryKind | None = None
    model: ModelId | None = None
    period: Period = Period()


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

    def newest(self, filters: LedgerFilter, *, after: Position | None, limit: int) -> list[LedgerEntry]:
        """Return entries of all wallets that are selected, newest first, past the position `after`."""
        ...

    def refunds_of(self, holds: Sequence[HoldId]) -> list[LedgerEntry]:
        """Return all refunds of what these holds paid for, in any order."""
        ...


class LedgerRepository(LedgerReader, Protocol):
    def append(self, entry: LedgerEntry) -> None:
        """Insert an entry. Raises `InvariantViolation` if the wallet has this version or the hold a charge."""
        ...
