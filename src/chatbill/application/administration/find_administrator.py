"""Find the administrator who acts on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.shared.errors import Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class FindAdministrator:
    """Find the administrator with this username or e-mail address, without a password.

    Only for the command line: a person who can run it can write to the database anyway. Raises `Forbidden` if no
    administrator has this name.
    """

    store: Store

    async def __call__(self, login: str) -> Principal:
        """Return the principal of the administrator."""

        def query(snapshot: Snapshot) -> User | None:
            return find_user(snapshot.users, login)

        user = await self.store.read(query)
        if user is None or not user.is_enabled or user.role is not UserRole.ADMIN:
            raise Forbidden("administrator_unknown", login=login)
        return Principal.of(user)
