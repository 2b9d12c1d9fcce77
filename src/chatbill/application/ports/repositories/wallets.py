"""The repository of wallets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import (
    WalletId,
)


class WalletReader(Protocol):
    def get(self, wallet_id: WalletId) -> Wallet | None: ...

    def among(self, ids: Sequence[WalletId]) -> list[Wallet]:
        """Return those of these wallets that exist, in any order."""
        ...


class WalletRepository(WalletReader, Protocol):
    def lock(self, wallet_id: WalletId) -> Wallet:
        """Return the wallet, which no other transaction changes until this one ends. Raises `NotFound`.

        Lock a wallet before changing one of its holds: this lock guards the holds too.
        """
        ...

    def add(self, wallet: Wallet) -> None: ...
    def save(self, wallet: Wallet) -> None: ...
