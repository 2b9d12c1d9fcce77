"""Revoke keys: an administrator ends API keys of any user, such as one that leaked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chatbill.application.administration.admin_action import AdminAction, require_admin
from chatbill.application.administration.user_actions import locked_user
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.api_keys import PREFIX, ApiKey
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import ApiKeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichKeys:
    """The keys to revoke: those of `ids`, and all keys of the user whose username or e-mail address is `owner`."""

    ids: tuple[ApiKeyId, ...] = ()
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A revoked key, the username of its owner, and whether it was revoked before."""

    key: ApiKey
    owner: str
    was_revoked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKeys:
    """Revoke all of the keys or none, and record the reason and the administrator with each.

    A key that was revoked before is left as it is. Replies that a key asked for are finished. Raises `Forbidden`,
    `InvalidRequest`, and `NotFound` for the first key or person that does not exist.
    """

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal, which: WhichKeys, action: AdminAction) -> list[RevokedKey]:
        """Revoke the keys and return them."""
        require_admin(principal)
        reason = action.checked_reason()
        now = self.clock()

        def revoked(tx: Transaction, key_id: ApiKeyId) -> RevokedKey:
            key = tx.api_keys.lock(key_id)
            if key is None:
                raise NotFound("api_key", f"{PREFIX}{key_id}")
            was_revoked = key.revoked_at is not None
            if not was_revoked:
                key.revoke(at=now, by=principal.user_id, why=reason)
                tx.api_keys.save(key)
            owner = tx.users.get(key.user_id)
            return RevokedKey(key, owner.username if owner else "", was_revoked)

        def work(tx: Transaction) -> list[RevokedKey]:
            ids = {*which.ids, *_ids_of(tx, which.owner)}
            # Sorted, so that two administrators who do this at once do not deadlock.
            return [revoked(tx, key_id) for key_id in sorted(ids)]

        return await self.store.write(work)


def _ids_of(tx: Transaction, login: str | None) -> Iterator[ApiKeyId]:
    if login is None:
        return
    # Locked, so that no key is made between the look and the end of this.
    for key in tx.api_keys.of_user(locked_user(tx, login).id):
        yield key.id
