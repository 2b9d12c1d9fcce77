"""API keys in memory, and what they used."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId


class MemoryApiKeys:
    """Keys whose names are unique for a person, and months that stay within their caps."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, key_id: ApiKeyId) -> ApiKey | None:
        return self._tables.api_keys.get(key_id)

    lock = get

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        return [key for key in self.ever_of_user(user_id) if key.revoked_at is None]

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        keys = (key for key in self._tables.api_keys.rows() if key.user_id == user_id)
        return sorted(keys, key=lambda key: key.id)

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        return self._tables.months.get((key_id, starts_at))

    def add(self, key: ApiKey) -> None:
        require_row(self._tables.users.get, key.user_id, "user")
        if key.name_key in {other.name_key for other in self.of_user(key.user_id)}:
            raise InvariantViolation(f"ApiKey {key.id}: the user has one of its name")
        self._tables.api_keys.insert(key.id, key)

    def save(self, key: ApiKey) -> None:
        stored = self.get(key.id)
        if stored is None:
            raise InvariantViolation(f"ApiKey {key.id} does not exist")
        require_row(self._tables.users.get, key.revoked_by, "user")
        stored.revoked_at, stored.revoked_by, stored.revoked_why = key.revoked_at, key.revoked_by, key.revoked_why
        stored.last_used_at = key.last_used_at
        self._tables.api_keys.put(key.id, stored)

    def save_month(self, month: KeyMonth) -> None:
        require_row(self.get, month.api_key_id, "API key")
        stored = self.month(month.api_key_id, month.starts_at) or month
        self._put(replace(stored, used=month.used))

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002 - as the port
        stored = self.month(key_id, starts_at)
        if stored is None:
            raise InvariantViolation(f"ApiKey {key_id} used nothing in that month")
        self._put(replace(stored, used=stored.used - credits))

    def _put(self, month: KeyMonth) -> None:
        self._tables.months.put((month.api_key_id, month.starts_at), month)
