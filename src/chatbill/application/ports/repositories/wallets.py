"""The repository of wallets."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import (
    WalletId,
)


class WalletReader(Protocol):
    def get(self, wallet_id: WalletId) -> Wallet | None: ...


class WalletRepository(WalletReader, Protocol):
    def lock(self, wallet_id: WalletId) -> Wallet:
        """The wallet, which nobody else changes until this transaction ends. Raises `NotFound`.

        Whoever changes a hold locks its wallet first, so this lock guards the holds too.
        """
        ...

    def add(self, wallet: Wallet) -> None: ...
    def save(self, wallet: Wallet) -> None: ...
