"""Read balances: several wallets at once, for a service that shows balances to many people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.ids import WalletId

MAX_WALLETS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBalances:
    """Reads wallets by their ids. It checks no permission: the caller shows each to its owner alone."""

    store: Store

    async def __call__(self, ids: Sequence[WalletId]) -> dict[WalletId, Wallet]:
        """Return those of the first 1,000 wallets that exist, in one transaction."""
        some = list(ids[:MAX_WALLETS])
        wallets = await self.store.read(lambda snapshot: snapshot.wallets.among(some)) if some else []
        return {wallet.id: wallet for wallet in wallets}
