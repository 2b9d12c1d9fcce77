"""People, by id and by the names they sign in with."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import EmailTaken, Forbidden, UsernameTaken
from chatbill.domain.shared.ids import UserId


class MemoryUsers:
    """Users, unique by name, by address and by wallet."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, user_id: UserId) -> User | None:
        return self._tables.users.get(user_id)

    lock = get

    def require_enabled(self, user_id: UserId) -> None:
        user = self.get(user_id)
        if user is None or not user.is_enabled:
            raise Forbidden("account_disabled")

    def by_login(self, key: str) -> User | None:
        found = (user for user in self._tables.users.rows() if key in {user.username_key, user.email_key})
        return next(found, None)

    def newest(self, *, after: Position | None, limit: int) -> list[User]:
        return newest(self._tables.users.rows(), lambda user: (user.created_at, user.id), after)[:limit]

    def add(self, user: User) -> None:
        self._require_free_names(user)
        require_row(self._tables.wallets.get, user.wallet_id, "wallet")
        self._tables.unique("users.wallet_id", user.wallet_id, user.id)
        self._tables.users.insert(user.id, user)

    def save(self, user: User) -> None:
        self._require_free_names(user)
        self._tables.users.replace(user.id, user)

    def _require_free_names(self, user: User) -> None:
        for other in self._tables.users.rows():
            if other.id == user.id:
                continue
            if other.username_key == user.username_key:
                raise UsernameTaken
            if other.email_key == user.email_key:
                raise EmailTaken
