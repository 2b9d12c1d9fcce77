"""API keys, and what they used month by month."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from sqlalchemy import Update, bindparam

from chatbill.adapters.persistence.mapping import Mapping, Part
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert_if_new, locking, update
from chatbill.adapters.persistence.sql.tables import api_key_months, api_keys
from chatbill.adapters.persistence.sql.types import Count
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId

_K, _M = api_keys.c, api_key_months.c
_SCOPES = Part(
    "scopes",
    ("scopes",),
    lru_cache(maxsize=64)(lambda text: frozenset(map(Scope, text.split()))),
    lambda scopes: (" ".join(sorted(scopes)),),
)
_KEYS, _MONTHS = Mapping(api_keys, ApiKey, _SCOPES), Mapping(api_key_months, KeyMonth)
_BY_ID = all_of(api_keys, equals(_K.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_OF_USER = Statement(all_of(api_keys, equals(_K.user_id), _K.revoked_at.is_(None)).order_by(_K.id))
_EVER_OF_USER = Statement(all_of(api_keys, equals(_K.user_id)).order_by(_K.id))
_SAVE = update(api_keys, *_KEYS.changing, where=(equals(_K.id),))
_THIS_MONTH = (equals(_M.api_key_id), equals(_M.starts_at))
_MONTH = Statement(all_of(api_key_months, *_THIS_MONTH))
_ADD_MONTH = insert_if_new(api_key_months)
_SAVE_MONTH = update(api_key_months, *_MONTHS.changing, where=_THIS_MONTH)
_LESS = bindparam("less", type_=Count)
_GIVE_BACK = Statement(Update(api_key_months).where(*_THIS_MONTH, _M.used >= _LESS).values(used=_M.used - _LESS))


class SqlApiKeys:
    """Keys by id and by person; their months by their first moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key_id: ApiKeyId) -> ApiKey | None:
        return _KEYS.one(self._connection.one(_GET, id=key_id))

    def lock(self, key_id: ApiKeyId) -> ApiKey | None:
        return _KEYS.one(self._connection.one(_LOCK, id=key_id))

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        return list(map(_KEYS.read, self._connection.stream(_OF_USER, user_id=user_id)))

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        return list(map(_KEYS.read, self._connection.stream(_EVER_OF_USER, user_id=user_id)))

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        return _MONTHS.one(self._connection.one(_MONTH, api_key_id=key_id, starts_at=starts_at))

    def add(self, key: ApiKey) -> None:
        self._connection.put(_KEYS.add, **_KEYS.values(key))

    def save(self, key: ApiKey) -> None:
        self._connection.put(
            _SAVE, **_KEYS.changes(key), or_else=lambda: InvariantViolation(f"API key {key.id} does not exist")
        )

    def save_month(self, month: KeyMonth) -> None:
        values = _MONTHS.values(month)
        if not self._connection.run(_SAVE_MONTH, **values) and not self._connection.run(_ADD_MONTH, **values):
            raise InvariantViolation(f"two requests counted for API key {month.api_key_id} at once")

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002 - as the port
        self._connection.put(
            _GIVE_BACK,
            api_key_id=key_id,
            starts_at=starts_at,
            less=credits,
            or_else=lambda: InvariantViolation(f"API key {key_id} did not use {credits} credits in that month"),
        )
