"""Revoke API keys: from then on they are not accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ApiKeyId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeApiKey:
    """Revoke a key of the principal; a revoked key stays as it is. Its running replies are finished.

    Raises `NotFound` for a key that does not exist or is another account's, and `Forbidden` for an API key.
    """

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, key_id: ApiKeyId) -> None:
        """Revoke the key."""
        require_sign_in(principal)
        now = self.clock()

        def work(tx: Transaction) -> None:
            key = tx.api_keys.lock(key_id)
            if key is None or key.user_id != principal.user_id:
                raise NotFound("api_key")
            if key.revoked_at is None:
                key.revoke(at=now, by=principal.user_id)
                tx.api_keys.save(key)

        await self.store.write(work)


def revoke_own_keys(tx: Transaction, user_id: UserId, *, at: datetime) -> None:
    """Revoke all keys of an account on behalf of its owner. Lock the user before."""
    for key in tx.api_keys.of_user(user_id):
        key.revoke(at=at, by=user_id)
        tx.api_keys.save(key)
