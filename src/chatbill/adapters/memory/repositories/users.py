"""People, by id and by the names they sign in with."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.rows import insert, replace
from chatbill.adapters.memory.tables import Table
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import EmailTaken, UsernameTaken
from chatbill.domain.shared.ids import (
    UserId,
)


class MemoryUsers:
    """Users, unique by name and by address; both keys share one space, since either signs a person in."""

    def __init__(self) -> None:
        self.table: Table[str, User] = Table()

    def get(self, user_id: UserId) -> User | None:
        return self.table.get(user_id)

    lock = get

    def by_login(self, key: str) -> User | None:
        return next((user for user in self.table.rows() if key in {user.username_key, user.email_key}), None)

    def add(self, user: User) -> None:
        for other in self.table.rows():
            if other.username_key == user.username_key:
                raise UsernameTaken
            if other.email_key == user.email_key:
                raise EmailTaken
        insert(self.table, user.id, user)

    def save(self, user: User) -> None:
        replace(self.table, user.id, user)
