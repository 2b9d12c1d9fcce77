"""The repository of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.accounts.users import AccountState, User, UserRole
from chatbill.domain.shared.ids import (
    UserId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Selects users; what is None selects all. `text` is looked for in names and addresses, in any letter case."""

    text: str | None = None
    role: UserRole | None = None
    state: AccountState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFigures:
    """The credits of a user, and when a session was used last, exact to a minute; None where none is remembered.

    `spent` is what was charged and not refunded.
    """

    balance: int
    held: int
    spent: int = 0
    last_seen_at: datetime | None = None


class UserReader(Protocol):
    def get(self, user_id: UserId) -> User | None: ...

    def by_login(self, key: str) -> User | None:
        """Return the user whose username or e-mail address has this key (see `users.name_key`)."""
        ...

    def newest(self, filters: UserFilter = UserFilter(), *, after: Position | None, limit: int) -> list[User]:
        """Return the users that are selected, newest first, past the position `after`."""
        ...

    def figures(self, user_ids: Sequence[UserId]) -> dict[UserId, UserFigures]:
        """Return the figures of these users. Reads all their ledger entries: for operators."""
        ...


class UserRepository(UserReader, Protocol):
    def lock(self, user_id: UserId) -> User | None:
        """Return the same as `get`, and prevent changes by other transactions until this one ends."""
        ...

    def lock_administrators(self) -> list[User]:
        """Return all enabled administrators by id, and prevent changes of them as `lock` does."""
        ...

    def require_enabled(self, user_id: UserId) -> None:
        """Raise `Forbidden` unless the account exists and is enabled. A store may raise only when it commits."""
        ...

    def add(self, user: User) -> None:
        """Keep a new user. Raises `UsernameTaken` or `EmailTaken`."""
        ...

    def save(self, user: User) -> None: ...
