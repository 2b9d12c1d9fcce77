"""Users, found by id or by the keys of their names."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, limit, locking, past, update
from chatbill.adapters.persistence.sql.tables import users
from chatbill.application.ports.repositories.paging import Position
from chatbill.domain.accounts.passwords import PasswordLink
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import Forbidden, InvariantViolation
from chatbill.domain.shared.ids import UserId

_LINK = nested("password_link", PasswordLink, digest="password_link", expires_at="password_link_expires_at")
_USERS = Mapping(users, User, _LINK)
_BY_ID = all_of(users, equals(users.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_ENABLED = Statement(select(users.c.id).where(equals(users.c.id), users.c.disabled_at.is_(None)))
_BY_LOGIN = Statement(
    all_of(users, (users.c.username_key == bindparam("login")) | (users.c.email_key == bindparam("login"))).limit(1)
)
_PAGE = all_of(users).order_by(users.c.created_at.desc(), users.c.id.desc()).limit(limit())
_FIRST_PAGE = Statement(_PAGE)
_NEXT_PAGE = Statement(_PAGE.where(past(users.c.created_at, users.c.id)))
_SAVE = update(users, *_USERS.changing, where=(equals(users.c.id),))


class SqlUsers:
    """Users, each unique by name and by address."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId) -> User | None:
        return _USERS.one(self._connection.one(_GET, id=user_id))

    def lock(self, user_id: UserId) -> User | None:
        return _USERS.one(self._connection.one(_LOCK, id=user_id))

    def require_enabled(self, user_id: UserId) -> None:
        self._connection.require(_ENABLED, id=user_id, or_else=lambda: Forbidden("account_disabled"))

    def by_login(self, key: str) -> User | None:
        return _USERS.one(self._connection.one(_BY_LOGIN, login=key))

    def newest(self, *, after: Position | None, limit: int) -> list[User]:
        if after is None:
            rows = self._connection.stream(_FIRST_PAGE, limit=limit)
        else:
            rows = self._connection.stream(_NEXT_PAGE, limit=limit, after_at=after.at, after_id=after.id)
        return list(map(_USERS.read, rows))

    def add(self, user: User) -> None:
        self._connection.put(_USERS.add, **_USERS.values(user))

    def save(self, user: User) -> None:
        self._connection.put(
            _SAVE, **_USERS.changes(user), or_else=lambda: InvariantViolation(f"user {user.id} does not exist")
        )
