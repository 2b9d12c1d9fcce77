"""Read the balance: what a person owns, what is promised, what can be spent."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.billing.wallets import Wallet
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBalance:
    """Read the wallet of the principal."""

    store: Store

    async def __call__(self, principal: Principal) -> Wallet:
        """Return a copy of the wallet; raises `NotFound` if the account is gone."""
        wallet = await self.store.read(lambda snapshot: snapshot.wallets.get(principal.wallet_id))
        if wallet is None:
            raise NotFound("wallet")
        return wallet
