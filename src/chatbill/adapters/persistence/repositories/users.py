"""Users, found by id or by the keys of their names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from sqlalchemy import bindparam, case, func, literal_column, select

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import (
    Among,
    ContainsText,
    Statement,
    all_of,
    equals,
    limit,
    locking,
    past,
    update,
)
from chatbill.adapters.persistence.sql.tables import ledger_entries, sessions, users, wallets
from chatbill.adapters.persistence.sql.types import UtcDateTime
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.repositories.users import UserFigures, UserFilter
from chatbill.domain.accounts.passwords import PasswordLink
from chatbill.domain.accounts.users import AccountState, User
from chatbill.domain.shared.errors import Forbidden, InvariantViolation
from chatbill.domain.shared.ids import UserId

_LINK = nested("password_link", PasswordLink, digest="password_link", expires_at="password_link_expires_at")
_EMAIL_LINK = nested("email_link", PasswordLink, digest="email_link", expires_at="email_link_expires_at")
_USERS = Mapping(users, User, _LINK, _EMAIL_LINK)
_BY_ID = all_of(users, equals(users.c.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_LOCK_ADMINISTRATORS = Statement(
    locking(all_of(users, users.c.role == literal_column("'admin'"), users.c.disabled_at.is_(None))).order_by(
        users.c.id
    )
)
_ENABLED = Statement(select(users.c.id).where(equals(users.c.id), users.c.disabled_at.is_(None)))
_BY_LOGIN = Statement(
    all_of(users, (users.c.username_key == bindparam("login")) | (users.c.email_key == bindparam("login"))).limit(1)
)
_STATES = {
    AccountState.ACTIVE: users.c.disabled_at.is_(None),
    AccountState.SUSPENDED: users.c.disabled_at.is_not(None) & users.c.erased_at.is_(None),
    AccountState.ERASED: users.c.erased_at.is_not(None),
}
# The entries of a wallet lie side by side, so those of a page of users are read and nothing else is.
_IS_SPENT = ledger_entries.c.kind.in_([literal_column("'charge'"), literal_column("'refund'")])
_SIGNED = case(
    (ledger_entries.c.kind == literal_column("'charge'"), ledger_entries.c.amount), else_=-ledger_entries.c.amount
)
_SPENT = select(func.sum(_SIGNED)).where(ledger_entries.c.wallet_id == wallets.c.id, _IS_SPENT).scalar_subquery()
_SEEN = (
    select(func.max(func.coalesce(sessions.c.last_seen_at, sessions.c.created_at), type_=UtcDateTime()))
    .where(sessions.c.user_id == users.c.id)
    .scalar_subquery()
)
_FIGURES = Statement(
    select(users.c.id, wallets.c.posted, wallets.c.held, _SPENT, _SEEN)
    .join_from(users, wallets, wallets.c.id == users.c.wallet_id)
    .where(Among(users.c.id))
)


@cache
def _newest(filters: frozenset[str], state: AccountState | None) -> Statement:
    """Select users, newest first, by the filters that are named."""
    query = all_of(users)
    if "needle" in filters:
        query = query.where(ContainsText(users.c.username_key) | ContainsText(users.c.email_key))
    if "role" in filters:
        query = query.where(equals(users.c.role))
    if state is not None:
        query = query.where(_STATES[state])
    if "after_at" in filters:
        query = query.where(past(users.c.created_at, users.c.id))
    return Statement(query.order_by(users.c.created_at.desc(), users.c.id.desc()).limit(limit()))


_SAVE = update(users, *_USERS.changing, where=(equals(users.c.id),))


class SqlUsers:
    """Users, each unique by name and by address."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId) -> User | None:
        return _USERS.one(self._connection.one(_GET, id=user_id))

    def lock(self, user_id: UserId) -> User | None:
        return _USERS.one(self._connection.one(_LOCK, id=user_id))

    def lock_administrators(self) -> list[User]:
        return list(map(_USERS.read, self._connection.stream(_LOCK_ADMINISTRATORS)))

    def require_enabled(self, user_id: UserId) -> None:
        self._connection.require(_ENABLED, id=user_id, or_else=lambda: Forbidden("account_disabled"))

    def by_login(self, key: str) -> User | None:
        return _USERS.one(self._connection.one(_BY_LOGIN, login=key))

    def newest(self, filters: UserFilter = UserFilter(), *, after: Position | None, limit: int) -> list[User]:
        wanted = {
            "needle": filters.text,
            "role": filters.role and filters.role.value,
            "after_at": after and after.at,
            "after_id": after and after.id,
        }
        given = {name: value for name, value in wanted.items() if value}
        rows = self._connection.stream(_newest(frozenset(given), filters.state), limit=limit, **given)
        return list(map(_USERS.read, rows))

    def figures(self, user_ids: Sequence[UserId]) -> dict[UserId, UserFigures]:
        rows = self._connection.stream(_FIGURES, among=json.dumps(user_ids))
        return {
            user_id: UserFigures(balance=posted, held=held, spent=int(spent or 0), last_seen_at=seen)
            for user_id, posted, held, spent, seen in rows
        }

    def add(self, user: User) -> None:
        self._connection.put(_USERS.add, **_USERS.values(user))

    def save(self, user: User) -> None:
        self._connection.put(
            _SAVE, **_USERS.changes(user), or_else=lambda: InvariantViolation(f"user {user.id} does not exist")
        )
