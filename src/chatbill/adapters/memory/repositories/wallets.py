"""Wallets and the holds on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from chatbill.adapters.memory.repositories.rows import insert, replace
from chatbill.adapters.memory.tables import Table
from chatbill.application.ports.repositories.holds import PendingInteraction
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import (
    HoldId,
    WalletId,
)


class MemoryWallets:
    """Wallets that can neither promise more than they own nor less than nothing."""

    def __init__(self) -> None:
        self.table: Table[str, Wallet] = Table()

    def get(self, wallet_id: WalletId) -> Wallet | None:
        return self.table.get(wallet_id)

    def lock(self, wallet_id: WalletId) -> Wallet:
        wallet = self.table.get(wallet_id)
        if wallet is None:
            raise NotFound("wallet")
        return wallet

    def add(self, wallet: Wallet) -> None:
        self._check(wallet)
        insert(self.table, wallet.id, wallet)

    def save(self, wallet: Wallet) -> None:
        self._check(wallet)
        replace(self.table, wallet.id, wallet)

    @staticmethod
    def _check(wallet: Wallet) -> None:
        if wallet.held < 0 or wallet.available < -wallet.overdraft:
            raise InvariantViolation(f"wallet {wallet.id} cannot own {wallet.posted} and hold {wallet.held}")


class MemoryHolds:
    """Holds that are settled once."""

    def __init__(self) -> None:
        self.table: Table[str, Hold] = Table()
        self.works: Callable[[], Iterator[Interaction]] = lambda: iter(())

    def get(self, hold_id: HoldId) -> Hold | None:
        return self.table.get(hold_id)

    def due(self, now: datetime, limit: int) -> list[PendingInteraction]:
        due = [hold for hold in self.table.rows() if hold.is_pending and hold.expires_at <= now]
        due.sort(key=lambda hold: (hold.expires_at, hold.id))
        interactions = {interaction.hold_id: interaction for interaction in self.works()}
        return [PendingInteraction(interactions[hold.id], hold) for hold in due if hold.id in interactions][:limit]

    def add(self, hold: Hold) -> None:
        if hold.amount < 0:
            raise InvariantViolation(f"hold {hold.id} cannot be of {hold.amount}")
        insert(self.table, hold.id, hold)

    def save_refund(self, hold: Hold) -> None:
        stored = self.table.get(hold.id)
        if stored is None or not stored.refunded < hold.refunded <= stored.captured:
            raise InvariantViolation(f"hold {hold.id} cannot be refunded for {hold.refunded}")
        stored.refunded = hold.refunded
        self.table.put(hold.id, stored)

    def save(self, hold: Hold) -> None:
        stored = self.table.get(hold.id)
        if stored is None or not stored.is_pending:
            raise InvariantViolation(f"hold {hold.id} is not pending")
        if not 0 <= hold.captured <= stored.amount:
            raise InvariantViolation(f"hold {hold.id} of {stored.amount} cannot be captured for {hold.captured}")
        self.table.put(hold.id, hold)
