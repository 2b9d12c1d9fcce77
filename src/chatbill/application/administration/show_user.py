"""Show a user, for an operator."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.administration.list_users import UserRecord
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.accounts.users import name_key
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowUser:
    """Find a user by username or e-mail address. Only for the command line: it checks no permission.

    Raises `NotFound`.
    """

    store: Store

    async def __call__(self, login: str) -> UserRecord:
        """Return the user with the balance and the held credits."""

        def query(snapshot: Snapshot) -> UserRecord:
            user = snapshot.users.by_login(name_key(login))
            if user is None:
                raise NotFound("user", login)
            return UserRecord.of(snapshot, user)

        return await self.store.read(query)
