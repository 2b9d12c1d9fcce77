"""Idempotency keys, each a person's own."""

from __future__ import annotations

from chatbill.adapters.persistence.sql.connection import Connection
from chatbill.adapters.persistence.sql.statements import Statement, all_of, equals, insert_if_new
from chatbill.adapters.persistence.sql.tables import idempotency_keys
from chatbill.domain.shared.idempotency import IdempotencyRecord, Refusal
from chatbill.domain.shared.ids import UserId

_GET = Statement(all_of(idempotency_keys, equals(idempotency_keys.c.user_id), equals(idempotency_keys.c.key)))
_CLAIM = insert_if_new(idempotency_keys)


class SqlIdempotency:
    """Keys that never expire."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None:
        row = self._connection.one(_GET, user_id=user_id, key=key)
        if row is None:
            return None
        user_id, key, fingerprint, created_at, subject_id, required, available, cap = row
        return IdempotencyRecord(
            user_id=user_id,
            key=key,
            fingerprint=fingerprint,
            created_at=created_at,
            subject_id=subject_id,
            refusal=None if required is None else Refusal(required=required, available=available, cap=cap),
        )

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        claimed = self._connection.run(
            _CLAIM,
            user_id=record.user_id,
            key=record.key,
            fingerprint=record.fingerprint,
            created_at=record.created_at,
            subject_id=record.subject_id,
            refusal_required=record.refusal.required if record.refusal else None,
            refusal_available=record.refusal.available if record.refusal else None,
            refusal_cap=record.refusal.cap if record.refusal else None,
        )
        return None if claimed else self.get(record.user_id, record.key)
