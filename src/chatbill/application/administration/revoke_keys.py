"""Revoke keys: a member of the staff ends API keys of any user, such as one that leaked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.user_actions import require_rank
from chatbill.application.ports.clock import Clock, NewId
from chatbill.application.ports.store import Store, Transaction
from chatbill.application.shared.audit_trail import API_KEY, Act, act_of
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.api_keys import PREFIX, ApiKey
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.audit_trail import AuditAction
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
    """Revoke all of the keys or none, and record the reason and the member of the staff with each.

    A key that was revoked before is left as it is. Replies that a key asked for are finished. Raises `Forbidden`,
    `InvalidRequest`, and `NotFound` for the first key or person that does not exist.
    """

    store: Store
    clock: Clock
    new_id: NewId

    async def __call__(self, principal: Principal, which: WhichKeys, action: AdminAction) -> list[RevokedKey]:
        """Revoke the keys and return them."""
        require_permission(principal, Permission.MANAGE_PEOPLE)
        reason = action.checked_reason()
        act = act_of(principal.user_id, at=self.clock(), new_id=self.new_id)

        def revoked(tx: Transaction, key_id: ApiKeyId) -> RevokedKey:
            key = tx.api_keys.lock(key_id)
            if key is None:
                raise NotFound("api_key", f"{PREFIX}{key_id}")
            owner = tx.users.get(key.user_id)
            if owner:
                require_rank(principal, owner.role)
            was_revoked = key.revoked_at is not None
            if not was_revoked:
                revoke_key(tx, key, principal, act, reason)
            return RevokedKey(key, owner.username if owner else "", was_revoked)

        def work(tx: Transaction) -> list[RevokedKey]:
            ids = {*which.ids, *_ids_of(tx, which.owner)}
            # Sorted, so that two administrators who do this at once do not deadlock.
            return [revoked(tx, key_id) for key_id in sorted(ids)]

        return await self.store.write(work)


def revoke_key(tx: Transaction, key: ApiKey, principal: Principal, act: Act, reason: str | None) -> None:
    """Revoke a key, and record the reason and the member of the staff."""
    key.revoke(at=act.at, by=principal.user_id, why=reason)
    tx.api_keys.save(key)
    act.record(tx, AuditAction.KEY_REVOKED, (API_KEY, key.id), after={"owner": key.user_id}, reason=reason)


def _ids_of(tx: Transaction, login: str | None) -> Iterator[ApiKeyId]:
    if login is None:
        return
    found = find_user(tx.users, login)
    # Locked, so that no key is made between the look and the end of this.
    user = tx.users.lock(found.id) if found else None
    if user is None:
        raise NotFound("user", login)
    for key in tx.api_keys.of_user(user.id):
        yield key.id
