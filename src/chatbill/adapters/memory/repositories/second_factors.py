"""Second factors, in memory."""

from __future__ import annotations

from chatbill.adapters.memory.repositories.everything import Tables
from chatbill.adapters.memory.rules import require_row
from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.shared.ids import UserId


class MemorySecondFactors:
    """Second factors by their user."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, user_id: UserId) -> SecondFactor | None:
        return self._tables.second_factors.get(user_id)

    def add(self, factor: SecondFactor) -> None:
        require_row(self._tables.users.get, factor.user_id, "user")
        self._tables.second_factors.insert(factor.user_id, factor)

    def save(self, factor: SecondFactor) -> None:
        self._tables.second_factors.replace(factor.user_id, factor)

    def remove(self, user_id: UserId) -> None:
        self._tables.second_factors.remove(user_id)
