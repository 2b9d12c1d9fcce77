"""Wallets and the holds on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.billing.holds import Hold
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import InvariantViolation, NotFound
from chatbill.domain.shared.ids import HoldId, InstanceId, WalletId


class MemoryWallets:
    """Keeps wallets. None can promise more credits than it owns, or fewer than 0."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, wallet_id: WalletId) -> Wallet | None:
        return self._tables.wallets.get(wallet_id)

    def among(self, ids: Sequence[WalletId]) -> list[Wallet]:
        return [wallet for wallet in map(self.get, dict.fromkeys(ids)) if wallet]

    def lock(self, wallet_id: WalletId) -> Wallet:
        wallet = self.get(wallet_id)
        if wallet is None:
            raise NotFound("wallet")
        return wallet

    def add(self, wallet: Wallet) -> None:
        self._tables.wallets.insert(wallet.id, wallet)

    def save(self, wallet: Wallet) -> None:
        self._tables.wallets.replace(wallet.id, wallet)


class MemoryHolds:
    """Holds that are settled once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, hold_id: HoldId) -> Hold | None:
        return self._tables.holds.get(hold_id)

    def due(self, now: datetime, limit: int) -> list[Hold]:
        due = [hold for hold in self._tables.holds.rows() if hold.is_pending and hold.expires_at <= now]
        return sorted(due, key=lambda hold: (hold.expires_at, hold.id))[:limit]

    def of_instance(self, instance_id: InstanceId, limit: int) -> list[Hold]:
        holds = self._tables.holds.rows()
        return [hold for hold in holds if hold.is_pending and hold.instance_id == instance_id][:limit]

    def add(self, hold: Hold) -> None:
        require_row(self._tables.wallets.get, hold.wallet_id, "wallet")
        self._tables.holds.insert(hold.id, hold)

    def save_refund(self, hold: Hold) -> None:
        stored = self.get(hold.id)
        if stored is None or not stored.refunded < hold.refunded <= stored.captured:
            raise InvariantViolation(f"hold {hold.id} cannot be refunded for {hold.refunded}")
        self._tables.holds.put(hold.id, replace(stored, refunded=hold.refunded))

    def save(self, hold: Hold) -> None:
        stored = self.get(hold.id)
        if stored is None or not stored.is_pending:
            raise InvariantViolation(f"hold {hold.id} is not pending")
        settled = replace(stored, state=hold.state, captured=hold.captured, settled_at=hold.settled_at)
        self._tables.holds.put(hold.id, settled)
