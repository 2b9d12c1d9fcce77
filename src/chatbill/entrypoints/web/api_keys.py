"""The JSON of API keys, as the API and the page show them to their owner."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
    scopes: list[str]
    monthly_cap: int | None = None
    used_this_month: int
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    @classmethod
    def of(cls, state: KeyState) -> ApiKeyView:
        """Return the view of a key."""
        key = state.key
        return ApiKeyView(
            id=key.id,
            name=key.name,
            starts_with=beginning_of(key),
            active=state.is_live,
            scopes=sorted(key.scopes),
            monthly_cap=key.monthly_cap,
            used_this_month=state.used_this_month,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKeyView(ApiKeyView):
    """A key that was just made. `key` is its text, which cannot be read again later."""

    key: str

    @classmethod
    def issued(cls, issued: IssuedKey) -> IssuedKeyView:
        """Return the view of a new key."""
        state = KeyState(issued.key, used_this_month=0, is_live=True)
        return cls(**asdict(ApiKeyView.of(state)), key=issued.text)


def beginning_of(key: ApiKey) -> str:
    """Return the public part of a key's text."""
    return f"{PREFIX}{key.id}_"
