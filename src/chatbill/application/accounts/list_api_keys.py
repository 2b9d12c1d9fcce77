"""List API keys with what each used this month."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal, require_sign_in
from chatbill.domain.accounts.api_keys import ApiKey, month_start


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key, and the credits that it used this month or that are held for it."""

    key: ApiKey
    used_this_month: int
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApiKeys:
    """List all keys of an account that were not revoked, the oldest first. Raises `Forbidden` for an API key."""

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal) -> list[KeyState]:
        """Read the keys and their month; an account has few."""
        require_sign_in(principal)
        now = self.clock()

        def query(snapshot: Snapshot) -> list[KeyState]:
            states = []
            for key in snapshot.api_keys.of_user(principal.user_id):
                month = snapshot.api_keys.month(key.id, month_start(now))
                states.append(KeyState(key, month.used if month else 0, key.is_live(now)))
            return states

        states = await self.store.read(query)
        return sorted(states, key=lambda state: (state.key.created_at, state.key.id))
