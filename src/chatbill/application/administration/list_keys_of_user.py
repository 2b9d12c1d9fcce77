"""List the keys of a user, for an operator."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.find_user import find_user
from chatbill.application.accounts.list_api_keys import KeyState
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.accounts.api_keys import ApiKey, month_start
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with its use of this month, and the name of the user that revoked it, if known."""

    state: KeyState
    revoked_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeysOfUser:
    """List all keys that a person ever had, the oldest first. Only for the command line: it checks no permission.

    Raises `NotFound` where no user has this name or e-mail address.
    """

    store: Store
    clock: Clock

    async def __call__(self, login: str) -> list[KeyRecord]:
        """Return the keys with their month and the user that revoked each."""
        now = self.clock()

        def query(snapshot: Snapshot) -> list[KeyRecord]:
            user = find_user(snapshot.users, login)
            if user is None:
                raise NotFound("user", login)

            def record(key: ApiKey) -> KeyRecord:
                month = snapshot.api_keys.month(key.id, month_start(now))
                revoker = snapshot.users.get(key.revoked_by) if key.revoked_by else None
                state = KeyState(key, month.used if month else 0, key.is_live(now))
                return KeyRecord(state, revoker.username if revoker else None)

            return list(map(record, snapshot.api_keys.ever_of_user(user.id)))

        records = await self.store.read(query)
        return sorted(records, key=lambda record: (record.state.key.created_at, record.state.key.id))
