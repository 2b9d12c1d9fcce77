"""The repository of users."""

from __future__ import annotations

from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.ids import (
    UserId,
)


class UserReader(Protocol):
    def get(self, user_id: UserId) -> User | None: ...

    def by_login(self, key: str) -> User | None:
        """Return the user whose username or e-mail address has this key (see `users.name_key`)."""
        ...

    def newest(self, *, after: Position | None, limit: int) -> list[User]:
        """Return users, newest first, past the position `after`. May read every user there is: for operators."""
        ...


class UserRepository(UserReader, Protocol):
    def lock(self, user_id: UserId) -> User | None:
        """Return the same as `get`, and prevent changes by other transactions until this one ends."""
        ...

    def require_enabled(self, user_id: UserId) -> None:
        """Raise `Forbidden` unless the account exists and is enabled. A store may raise only when it commits."""
        ...

    def add(self, user: User) -> None:
        """Keep a new user. Raises `UsernameTaken` or `EmailTaken`."""
        ...

    def save(self, user: User) -> None: ...
