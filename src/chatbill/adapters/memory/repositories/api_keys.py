"""API keys in memory, and what they used."""

from __future__ import annotations

from datetime import datetime

from chatbill.adapters.memory.tables import Table
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId

_Month = tuple[ApiKeyId, datetime]


class MemoryApiKeys:
    """Keys whose names are unique for a person, and months that stay within their caps."""

    def __init__(self) -> None:
        self.table: Table[str, ApiKey] = Table()
        self.months: Table[_Month, KeyMonth] = Table()

    def get(self, key_id: ApiKeyId) -> ApiKey | None:
        return self.table.get(key_id)

    lock = get

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        return [key for key in self.ever_of_user(user_id) if key.revoked_at is None]

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        return sorted((key for key in self.table.rows() if key.user_id == user_id), key=lambda key: key.id)

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        return self.months.get((key_id, starts_at))

    def add(self, key: ApiKey) -> None:
        names = {other.name_key for other in self.of_user(key.user_id)}
        if self.table.get(key.id) is not None or key.name_key in names:
            raise InvariantViolation(f"ApiKey {key.id} exists already, or one of its name")
        self.table.put(key.id, key)

    def save(self, key: ApiKey) -> None:
        stored = self.table.get(key.id)
        if stored is None:
            raise InvariantViolation(f"ApiKey {key.id} does not exist")
        if stored.revoked_at is not None and _revocation(stored) != _revocation(key):
            raise InvariantViolation(f"ApiKey {key.id} was revoked already")
        if (key.revoked_by and not key.revoked_at) or (key.revoked_why and not key.revoked_by):
            raise InvariantViolation(f"ApiKey {key.id} was revoked by nobody, or not at all, but for a reason")
        stored.revoked_at, stored.revoked_by, stored.revoked_why = _revocation(key)
        stored.last_used_at = key.last_used_at
        self.table.put(key.id, stored)

    def save_month(self, month: KeyMonth) -> None:
        if self.table.get(month.api_key_id) is None:
            raise InvariantViolation(f"ApiKey {month.api_key_id} does not exist")
        stored = self.months.get((month.api_key_id, month.starts_at)) or month
        self._put(stored, month.used)

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002 - as the port
        stored = self.months.get((key_id, starts_at))
        if stored is None:
            raise InvariantViolation(f"ApiKey {key_id} used nothing in that month")
        self._put(stored, stored.used - credits)

    def tables(self) -> tuple[Table[str, ApiKey], Table[_Month, KeyMonth]]:
        """The keys and their months."""
        return self.table, self.months

    def _put(self, month: KeyMonth, used: int) -> None:
        if used < 0 or (month.monthly_cap is not None and used > month.monthly_cap):
            raise InvariantViolation(f"ApiKey {month.api_key_id} with a cap of {month.monthly_cap} cannot use {used}")
        month.used = used
        self.months.put((month.api_key_id, month.starts_at), month)


def _revocation(key: ApiKey) -> tuple[datetime | None, UserId | None, str | None]:
    return key.revoked_at, key.revoked_by, key.revoked_why
