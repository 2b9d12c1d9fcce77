"""The repository of idempotency records."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.shared.idempotency import IdempotencyRecord
from chatbill.domain.shared.ids import (
    UserId,
)


class IdempotencyReader(Protocol):
    def get(self, user_id: UserId, key: str) -> IdempotencyRecord | None: ...


class IdempotencyRepository(IdempotencyReader, Protocol):
    def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        """Keep the record if the user's key is new, and return None; else return the record that was there.

        Of two transactions that claim one key, the second waits for the first to end.
        """
        ...
