"""API keys, and what they used month by month."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Update, bindparam

from chatbill.adapters.persistence.sql.connection import Connection, Row
from chatbill.adapters.persistence.sql.statements import (
    Statement,
    all_of,
    equals,
    insert,
    insert_if_new,
    locking,
    update,
)
from chatbill.adapters.persistence.sql.tables import api_key_months, api_keys
from chatbill.adapters.persistence.sql.types import Count
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId

_K, _M = api_keys.c, api_key_months.c
_BY_ID = all_of(api_keys, equals(_K.id))
_GET = Statement(_BY_ID)
_LOCK = Statement(locking(_BY_ID))
_OF_USER = Statement(all_of(api_keys, equals(_K.user_id), _K.revoked_at.is_(None)).order_by(_K.id))
_EVER_OF_USER = Statement(all_of(api_keys, equals(_K.user_id)).order_by(_K.id))
_ADD = insert(api_keys)
_SAVE = update(api_keys, "revoked_at", "last_used_at", "revoked_by", "revoked_why", where=(equals(_K.id),))
_THIS_MONTH = (equals(_M.api_key_id), equals(_M.starts_at))
_MONTH = Statement(all_of(api_key_months, *_THIS_MONTH))
_ADD_MONTH = insert_if_new(api_key_months)
_SAVE_MONTH = update(api_key_months, "used", where=_THIS_MONTH)
_LESS = bindparam("less", type_=Count)
_GIVE_BACK = Statement(Update(api_key_months).where(*_THIS_MONTH, _M.used >= _LESS).values(used=_M.used - _LESS))


class SqlApiKeys:
    """Keys by id and by person; their months by their first moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key_id: ApiKeyId) -> ApiKey | None:
        row = self._connection.one(_GET, id=key_id)
        return None if row is None else _key(row)

    def lock(self, key_id: ApiKeyId) -> ApiKey | None:
        row = self._connection.one(_LOCK, id=key_id)
        return None if row is None else _key(row)

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        return list(map(_key, self._connection.stream(_OF_USER, user_id=user_id)))

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        return list(map(_key, self._connection.stream(_EVER_OF_USER, user_id=user_id)))

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        row = self._connection.one(_MONTH, api_key_id=key_id, starts_at=starts_at)
        return None if row is None else _month(row)

    def add(self, key: ApiKey) -> None:
        self._connection.put(
            _ADD,
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            name_key=key.name_key,
            digest=key.digest,
            monthly_cap=key.monthly_cap,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            revoked_by=key.revoked_by,
            revoked_why=key.revoked_why,
        )

    def save(self, key: ApiKey) -> None:
        self._connection.put(
            _SAVE,
            id=key.id,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            revoked_by=key.revoked_by,
            revoked_why=key.revoked_why,
            or_else=InvariantViolation(f"API key {key.id} does not exist"),
        )

    def save_month(self, month: KeyMonth) -> None:
        known = {"api_key_id": month.api_key_id, "starts_at": month.starts_at, "used": month.used}
        if self._connection.run(_SAVE_MONTH, **known):
            return
        if not self._connection.run(_ADD_MONTH, **known, ends_at=month.ends_at, monthly_cap=month.monthly_cap):
            raise InvariantViolation(f"two requests counted for API key {month.api_key_id} at once")

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002 - as the port
        self._connection.put(
            _GIVE_BACK,
            api_key_id=key_id,
            starts_at=starts_at,
            less=credits,
            or_else=InvariantViolation(f"API key {key_id} did not use {credits} credits in that month"),
        )


def _key(row: Row) -> ApiKey:
    id_, user_id, name, _, digest, monthly_cap, created_at, expires_at, revoked_at, last_used_at, by, why = row
    return ApiKey(
        id=id_,
        user_id=user_id,
        name=name,
        digest=digest,
        monthly_cap=monthly_cap,
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
        revoked_by=by,
        revoked_why=why,
    )


def _month(row: Row) -> KeyMonth:
    api_key_id, starts_at, ends_at, monthly_cap, used = row
    return KeyMonth(api_key_id=api_key_id, starts_at=starts_at, ends_at=ends_at, monthly_cap=monthly_cap, used=used)
