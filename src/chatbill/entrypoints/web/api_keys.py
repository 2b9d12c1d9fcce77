"""What people see of their API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chatbill.application.accounts.create_api_key import IssuedKey
from chatbill.application.accounts.list_api_keys import KeyState
from chatbill.domain.accounts.api_keys import PREFIX, ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyView:
    """A key without its secret. `starts_with` is how its text begins. Credits are whole numbers.

    `last_used_at` is right to a minute. `used_this_month` counts what was charged and what is being held.
    """

    id: str
    name: str
    starts_with: str
    active: bool
    monthly_cap: int | None = None
    used_this_month: int
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    @classmethod
    def of(cls, state: KeyState) -> ApiKeyView:
        """As its owner sees it."""
        key = state.key
        return cls(
            id=key.id,
            name=key.name,
            starts_with=_beginning(key),
            active=state.is_live,
            monthly_cap=key.monthly_cap,
            used_this_month=state.used_this_month,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKeyView(ApiKeyView):
    """A key that was just made. `key` is its text, which nobody can find out again."""

    key: str

    @classmethod
    def issued(cls, issued: IssuedKey) -> IssuedKeyView:
        """As its owner sees it, once."""
        key = issued.key
        return cls(
            id=key.id,
            name=key.name,
            starts_with=_beginning(key),
            active=True,
            monthly_cap=key.monthly_cap,
            used_this_month=0,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=None,
            key=issued.text,
        )


def _beginning(key: ApiKey) -> str:
    return f"{PREFIX}{key.id}_"
