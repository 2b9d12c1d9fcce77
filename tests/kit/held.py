"""Writes that each hold one more credit of a wallet, so that a test can count them."""

from __future__ import annotations

from dataclasses import replace

from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.shared.ids import WalletId
from tests.kit.rows import PURSE


def hold_one(tx: Transaction, wallet_id: WalletId = PURSE) -> int:
    """Hold one more credit, and return how many are held."""
    wallet = tx.wallets.lock(wallet_id)
    tx.wallets.save(replace(wallet, held=wallet.held + 1))
    return wallet.held + 1


async def held(store: Store) -> int:
    """Return how many credits of Alice's are held."""
    wallet = await store.read(lambda snapshot: snapshot.wallets.get(PURSE))
    assert wallet is not None
    return wallet.held
