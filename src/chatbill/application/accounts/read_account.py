"""Read the account: its names, its role and its balance."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.open_account import Account
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAccount:
    """Read the account of the principal."""

    store: Store

    async def __call__(self, principal: Principal) -> Account:
        """Return the account; raise `NotFound` if it no longer exists."""

        def query(snapshot: Snapshot) -> Account:
            user, wallet = snapshot.users.get(principal.user_id), snapshot.wallets.get(principal.wallet_id)
            if user is None or wallet is None:
                raise NotFound("account")
            return Account.of(user, wallet)

        return await self.store.read(query)
