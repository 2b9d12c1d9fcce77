"""Show a user."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.administration.list_users import UserRecord, records_of
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowUser:
    """Find a user. Raises `Forbidden` and `NotFound`."""

    store: Store

    async def __call__(self, principal: Principal, user_id: UserId) -> UserRecord:
        """Return the user of this id."""
        require_permission(principal, Permission.READ_PEOPLE)
        record = await self.store.read(lambda snapshot: _record(snapshot, snapshot.users.get(user_id)))
        return record.seen_by(principal)

    async def unchecked(self, login: str) -> UserRecord:
        """Return the user of a username or e-mail address, for the command line. No permission is checked."""
        return await self.store.read(lambda snapshot: _record(snapshot, find_user(snapshot.users, login), login))


def _record(snapshot: Snapshot, user: User | None, *name: str) -> UserRecord:
    if user is None:
        raise NotFound("user", *name)
    (record,) = records_of(snapshot, [user])
    return record
