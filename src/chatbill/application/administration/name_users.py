"""Name the users of a list, and find one by a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal, require_permission
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NameUsers:
    """Return what the users of a list are called now. Raises `Forbidden`."""

    store: Store

    async def __call__(self, principal: Principal, user_ids: Iterable[str]) -> dict[str, str]:
        """Return the usernames by id, without those of users that do not exist."""
        require_permission(principal, Permission.READ_PEOPLE)
        wanted = {UserId(each) for each in user_ids}

        def query(snapshot: Snapshot) -> dict[str, str]:
            users = (snapshot.users.get(each) for each in wanted)
            return {user.id: user.username for user in users if user}

        return await self.store.read(query)

    async def find(self, principal: Principal, text: str) -> UserId | None:
        """Return the id of the user with this id, username or e-mail address; None where there is none."""
        require_permission(principal, Permission.READ_PEOPLE)

        def query(snapshot: Snapshot) -> User | None:
            return snapshot.users.get(UserId(text)) or find_user(snapshot.users, text)

        user = await self.store.read(query)
        return user.id if user else None
