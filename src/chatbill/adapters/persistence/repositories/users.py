"""Users, found by id or by the keys of their names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam

from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert, locking, update
from chatbill.adapters.persistence.sql.tables import users
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import UserId

_BY_ID = all_of(users, equals(users.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_BY_LOGIN = Statement(
    all_of(users, (users.c.username_key == bindparam("login")) | (users.c.email_key == bindparam("login"))).limit(1)
)
_ADD = insert(users)
_SAVE = update(
    users,
    *("username", "email", "username_key", "email_key", "password_hash", "role", "disabled_at"),
    where=(equals(users.c.id),),
)


class SqlUsers:
    """Users, each unique by name and by address."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId) -> User | None:
        return _user(self._connection.one(_GET, id=user_id))

    def lock(self, user_id: UserId) -> User | None:
        return _user(self._connection.one(_LOCK, id=user_id))

    def by_login(self, key: str) -> User | None:
        return _user(self._connection.one(_BY_LOGIN, login=key))

    def add(self, user: User) -> None:
        self._connection.put(_ADD, wallet_id=user.wallet_id, created_at=user.created_at, **_changeable(user))

    def save(self, user: User) -> None:
        self._connection.put(_SAVE, **_changeable(user), or_else=InvariantViolation(f"user {user.id} does not exist"))


def _changeable(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "username_key": user.username_key,
        "email_key": user.email_key,
        "password_hash": user.password_hash,
        "role": user.role.value,
        "disabled_at": user.disabled_at,
    }


def _user(row: Row | None) -> User | None:
    if row is None:
        return None
    id_, username, email, _, _, password_hash, role, wallet_id, created_at, disabled_at = row
    return User(
        id=id_,
        username=username,
        email=email,
        password_hash=password_hash,
        role=UserRole(role),
        wallet_id=wallet_id,
        created_at=created_at,
        disabled_at=disabled_at,
    )
