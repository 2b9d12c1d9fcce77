"""List users, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from chatbill.application.ports.repositories.users import UserFilter
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.paging import (
    DEFAULT_PAGE,
    Page,
    checked_limit,
    decode_position,
    encode_position,
    page_of,
)
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.users import User, name_key
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with the balance, the credits of it that are held, what was spent, and the last use of a session.

    Credits are None for people who may not see them.
    """

    user: User
    balance: int | None
    held: int | None
    spent: int | None
    last_seen_at: datetime | None

    def seen_by(self, principal: Principal) -> UserRecord:
        """Return the record without what the principal may not see."""
        if Permission.READ_MONEY in permissions_of(principal.role):
            return self
        return replace(self, balance=None, held=None, spent=None)


def records_of(snapshot: Snapshot, users: list[User]) -> list[UserRecord]:
    """Return the records of users. Raises `NotFound` if a wallet is missing."""
    figures = snapshot.users.figures([user.id for user in users])

    def record(user: User) -> UserRecord:
        found = figures.get(user.id)
        if found is None:
            raise NotFound("wallet")
        return UserRecord(user, found.balance, found.held, found.spent, found.last_seen_at)

    return list(map(record, users))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsers:
    """List users in pages. Raises `Forbidden`, and `InvalidRequest` for a limit or a cursor that is not valid."""

    store: Store

    async def __call__(
        self,
        principal: Principal,
        filters: UserFilter = UserFilter(),
        *,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> Page[UserRecord]:
        """Return one page of the users that are selected."""
        require_permission(principal, Permission.READ_PEOPLE)
        page = await self.unchecked(filters, limit=limit, cursor=cursor)
        return Page([record.seen_by(principal) for record in page.items], page.next_cursor)

    async def unchecked(
        self, filters: UserFilter = UserFilter(), *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[UserRecord]:
        """Return the same for the command line, where no permission is checked."""
        limit, after = checked_limit(limit), decode_position(cursor)
        wanted = replace(filters, text=name_key(filters.text) or None if filters.text else None)

        def query(snapshot: Snapshot) -> list[UserRecord]:
            return records_of(snapshot, snapshot.users.newest(wanted, after=after, limit=limit + 1))

        records = await self.store.read(query)
        return page_of(records, limit, lambda record: encode_position(record.user.created_at, record.user.id))
