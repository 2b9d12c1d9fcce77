"""Idempotency keys, each a person's own."""

from __future__ import annotations

from chatbill.adapters.persistence.mapping import Mapping, nested
from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert_if_new
from chatbill.adapters.persistence.sql.tables import idempotency_keys
from chatbill.domain.shared.idempotency import IdempotencyRecord, Refusal
from chatbill.domain.shared.ids import UserId

_REFUSAL = nested("refusal", Refusal, required="refusal_required", available="refusal_available", cap="refusal_cap")
_RECORDS = Mapping(idempotency_keys, IdempotencyRecord, _REFUSAL)
_GET = Statement(all_of(idempotency_keys, equals(idempotency_keys.c.user_id), equals(idempotency_keys.c.key)))
_CLAIM = insert_if_new(idempotency_keys)


class SqlIdempotency:
    """Keys that never expire."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None:
        return _RECORDS.one(self._connection.one(_GET, user_id=user_id, key=key))

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        claimed = self._connection.run(_CLAIM, **_RECORDS.values(record))
        return None if claimed else self.get(record.user_id, record.key)
