"""Keys of requests that were made before."""

from __future__ import annotations

from chatbill.adapters.memory.tables import Table
from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import (
    UserId,
)


class MemoryIdempotency:
    """Idempotency keys, each a person's own; they never expire."""

    def __init__(self) -> None:
        self.table: Table[tuple[UserId, str], IdempotencyRecord] = Table()

    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None:
        return self.table.get((user_id, key))

    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        if earlier := self.get(record.user_id, record.key):
            return earlier
        self.table.put((record.user_id, record.key), record)
        return None
