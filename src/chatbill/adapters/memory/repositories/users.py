"""People, by id and by the names they sign in with."""

from __future__ import annotations

from collections.abc import Sequence

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.repositories.rows import newest
from chatbill.adapters.memory.rules import require_row
from chatbill.application.ports.repositories.paging import Position
from chatbill.application.ports.repositories.users import UserFigures, UserFilter
from chatbill.domain.accounts.users import User, UserRole
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import USER, Owner
from chatbill.domain.shared.errors import EmailTaken, Forbidden, UsernameTaken
from chatbill.domain.shared.ids import UserId


class MemoryUsers:
    """Users, unique by name, by address and by wallet."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, user_id: UserId) -> User | None:
        return self._tables.users.get(user_id)

    lock = get

    def lock_administrators(self) -> list[User]:
        found = (user for user in self._tables.users.rows() if user.is_enabled and user.role is UserRole.ADMIN)
        return sorted(found, key=lambda user: user.id)

    def require_enabled(self, user_id: UserId) -> None:
        user = self.get(user_id)
        if user is None or not user.is_enabled:
            raise Forbidden("account_disabled")

    def by_login(self, key: str) -> User | None:
        found = (user for user in self._tables.users.rows() if key in {user.username_key, user.email_key})
        return next(found, None)

    def newest(self, filters: UserFilter = UserFilter(), *, after: Position | None, limit: int) -> list[User]:
        needle = (filters.text or "").casefold()
        found = [
            user
            for user in self._tables.users.rows()
            if (needle in user.username_key or needle in user.email_key)
            and filters.role in {None, user.role}
            and filters.state in {None, user.state}
        ]
        return newest(found, lambda user: (user.created_at, user.id), after)[:limit]

    def figures(self, user_ids: Sequence[UserId]) -> dict[UserId, UserFigures]:
        return {user_id: self._figures_of(user_id) for user_id in user_ids if self.get(user_id)}

    def _figures_of(self, user_id: UserId) -> UserFigures:
        tables = self._tables
        wallet = next(wallet for wallet in tables.wallets.rows() if wallet.owner == Owner(USER, user_id))
        spending = {EntryKind.CHARGE, EntryKind.REFUND}
        entries = (entry for entry in tables.entries.rows() if entry.wallet_id == wallet.id and entry.kind in spending)
        return UserFigures(
            balance=wallet.posted,
            held=wallet.held,
            spent=-sum(entry.signed_amount for entry in entries),
            last_seen_at=max(
                (each.used_at for each in tables.sessions.rows() if each.user_id == user_id), default=None
            ),
        )

    def add(self, user: User) -> None:
        self._require_free_names(user)
        require_row(self._tables.wallets.get, user.wallet_id, "wallet")
        self._tables.unique("users.wallet_id", user.wallet_id, user.id)
        self._tables.users.insert(user.id, user)

    def save(self, user: User) -> None:
        self._require_free_names(user)
        self._tables.users.replace(user.id, user)

    def _require_free_names(self, user: User) -> None:
        for other in self._tables.users.rows():
            if other.id == user.id:
                continue
            if other.username_key == user.username_key:
                raise UsernameTaken
            if other.email_key == user.email_key:
                raise EmailTaken
