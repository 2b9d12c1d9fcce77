"""Find the member of the staff who acts on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAdministrator:
    """Find the member of the staff with this username or e-mail address, without a password.

    Only for the command line: a person who can run it can write to the database anyway. The role still decides what
    the person may do. Raises `Forbidden` if no member of the staff has this name.
    """

    store: Store

    async def __call__(self, login: str) -> Principal:
        """Return the principal of the person."""

        def query(snapshot: Snapshot) -> User | None:
            return find_user(snapshot.users, login)

        user = await self.store.read(query)
        if user is None or not user.is_enabled or not user.role.is_staff:
            raise Forbidden("administrator_unknown", login=login)
        return Principal.of(user)
