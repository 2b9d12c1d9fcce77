"""The repository of codes that redeem credits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.billing.codes import RedeemCode
from chatbill.domain.shared.ids import CodeId, WalletId


class CodeReader(Protocol):
    def newest(self, *, after: Position | None, limit: int) -> list[RedeemCode]:
        """Return codes, newest first, past the position `after`."""
        ...

    def used(self, code_ids: Sequence[CodeId]) -> dict[CodeId, int]:
        """Return how often these codes were redeemed, by their ledger entries; those that never were are left out."""
        ...

    def was_redeemed(self, code_id: CodeId, wallet_id: WalletId) -> bool:
        """Return whether the credits of the code are in this wallet."""
        ...


class CodeRepository(CodeReader, Protocol):
    def lock(self, code_id: CodeId) -> RedeemCode | None:
        """Return the code, and prevent changes by other transactions until this one ends."""
        ...

    def lock_by_digest(self, digest: str) -> RedeemCode | None:
        """Return the code with this digest, locked in the same way."""
        ...

    def add(self, code: RedeemCode) -> None: ...

    def save(self, code: RedeemCode) -> None:
        """Keep that the code was withdrawn, and by whom."""
        ...
