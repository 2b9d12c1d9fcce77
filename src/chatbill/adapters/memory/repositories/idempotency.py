"""Keys of requests that were made before."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import UserId


class MemoryIdempotency:
    """Keeps the idempotency keys of each user. They never expire."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None:
        return self._tables.records.get((user_id, key))

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        require_row(self._tables.users.get, record.user_id, "user")
        if earlier := self.get(record.user_id, record.key):
            return earlier
        self._tables.records.put((record.user_id, record.key), record)
        return None
