"""Authenticate a key: find the account of an API key."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store, StoreUnavailable, Transaction
from chatbill.application.ports.tokens import Tokens
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.api_keys import ApiKey, key_parts
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.errors import Unauthenticated

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateKey:
    """Turn an API key into a principal, by what the store says now.

    The principal is its owner with the scopes of the key: an administrator's key administers nothing. Raises
    `Unauthenticated`, in the same words for a key that is unknown, wrong, revoked or expired, and for a disabled
    account.
    """

    store: Store
    tokens: Tokens
    clock: Clock

    async def __call__(self, text: str) -> Principal:
        """Find the key by its id, and compare the digest of its secret."""
        parts = key_parts(text)
        if parts is None:
            raise Unauthenticated("api_key_invalid")
        now = self.clock()
        digest = self.tokens.digest(parts.secret)

        def query(snapshot: Snapshot) -> tuple[ApiKey, Principal] | None:
            key = snapshot.api_keys.get(parts.id)
            if key is None or not key.opens_with(digest) or not key.is_live(now):
                return None
            user = snapshot.users.get(key.user_id)
            return (key, Principal.of(user)) if user and user.is_enabled else None

        found = await self.store.read(query)
        if found is None:
            raise Unauthenticated("api_key_invalid")
        key, principal = found
        if key.is_use_worth_noting(now):
            await self._note_use(key)
        return replace(principal, role=UserRole.USER, api_key_id=key.id, scopes=key.scopes)

    async def _note_use(self, found: ApiKey) -> None:
        now = self.clock()

        def work(tx: Transaction) -> None:
            key = tx.api_keys.lock(found.id)
            if key and key.is_use_worth_noting(now):
                key.note_use(at=now)
                tx.api_keys.save(key)

        try:
            await self.store.write(work)
        except StoreUnavailable:
            # When a key was used is worth less than the request that uses it.
            _log.warning("key_use_not_noted", exc_info=True, extra={"api_key_id": found.id})
