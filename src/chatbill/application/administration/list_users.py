"""List all users, for an operator."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.store import Snapshot, Store
from chatbill.domain.accounts.users import User
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with the balance, and the credits of it that are held."""

    user: User
    balance: int
    held: int

    @classmethod
    def of(cls, snapshot: Snapshot, user: User) -> UserRecord:
        """Return the record of a user. Raises `NotFound` if the wallet is missing."""
        wallet = snapshot.wallets.get(user.wallet_id)
        if wallet is None:
            raise NotFound("wallet")
        return cls(user, wallet.posted, wallet.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsers:
    """List users in pages, the newest first. Only for the command line: it checks no permission."""

    store: Store

    async def __call__(self, *, after: Position | None = None, limit: int = 100) -> list[UserRecord]:
        """Return at most `limit` users that are older than the position `after`."""

        def query(snapshot: Snapshot) -> list[UserRecord]:
            return [UserRecord.of(snapshot, user) for user in snapshot.users.newest(after=after, limit=limit)]

        return await self.store.read(query)
