"""Revoke API keys: from then on they are not accepted."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import API_KEY, Act, act_of
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.api_keys import ApiKey
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ApiKeyId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeApiKey:
    """Revoke a key of the principal; a revoked key stays as it is. Its running replies are finished.

    Raises `NotFound` for a key that does not exist or is another account's, and `Forbidden` for an API key.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, key_id: ApiKeyId) -> None:
        """Revoke the key."""
        require_sign_in(principal)
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)

        def work(tx: Transaction) -> None:
            key = tx.api_keys.lock(key_id)
            if key is None or key.user_id != principal.user_id:
                raise NotFound("api_key")
            if key.revoked_at is None:
                _revoke(tx, key, principal.user_id, act)

        await self.store.write(work)


def revoke_own_keys(tx: Transaction, user_id: UserId, act: Act) -> None:
    """Revoke all keys of an account on behalf of its owner. Lock the user before."""
    for key in tx.api_keys.of_user(user_id):
        _revoke(tx, key, user_id, act)


def _revoke(tx: Transaction, key: ApiKey, by: UserId, act: Act) -> None:
    key.revoke(at=act.at, by=by)
    tx.api_keys.save(key)
    act.record(tx, AuditAction.KEY_REVOKED, (API_KEY, key.id), after={"owner": key.user_id})
