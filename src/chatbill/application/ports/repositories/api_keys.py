"""The repository of API keys and of what each used per month."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth
from chatbill.domain.shared.ids import (
    ApiKeyId,
    UserId,
)


class ApiKeyReader(Protocol):
    def get(self, key_id: ApiKeyId) -> ApiKey | None: ...

    def of_user(self, user_id: UserId) -> list[ApiKey]:
        """Return the keys of a user that were not revoked, by id."""
        ...

    def ever_of_user(self, user_id: UserId) -> list[ApiKey]:
        """Return all keys that a user ever had, by id. May read every key that exists: for operators only."""
        ...

    def month(self, key_id: ApiKeyId, starts_at: datetime) -> KeyMonth | None:
        """Return the key's usage in the month that starts then; None if it used nothing."""
        ...


class ApiKeyRepository(ApiKeyReader, Protocol):
    """Keys and their months. Lock the wallet that pays before counting in a month: its lock guards months too."""

    def lock(self, key_id: ApiKeyId) -> ApiKey | None:
        """Return the same as `get`, and prevent changes by other transactions until this one ends."""
        ...

    def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises `InvariantViolation` where the user has one of its name; lock the user first."""
        ...

    def save(self, key: ApiKey) -> None:
        """Keep when the key was used last, and that it was revoked, by whom and why."""
        ...

    def save_month(self, month: KeyMonth) -> None:
        """Keep what was used, of a new month or a known one. Raises `InvariantViolation` where that is over its cap."""
        ...

    def give_back(self, key_id: ApiKeyId, starts_at: datetime, credits: int) -> None:  # noqa: A002
        """Count so many credits less. Raises `InvariantViolation` where fewer were used."""
        ...
