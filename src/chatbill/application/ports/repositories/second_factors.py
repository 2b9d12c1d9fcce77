"""The repository of second factors."""

from __future__ import annotations

from typing import Protocol

from chatbill.domain.accounts.second_factors import SecondFactor
from chatbill.domain.shared.ids import UserId


class SecondFactorReader(Protocol):
    def get(self, user_id: UserId) -> SecondFactor | None:
        """Return the second factor of a user, also one that is not confirmed."""
        ...


class SecondFactorRepository(SecondFactorReader, Protocol):
    """Lock the user before any change."""

    def add(self, factor: SecondFactor) -> None: ...
    def save(self, factor: SecondFactor) -> None: ...

    def remove(self, user_id: UserId) -> None:
        """Delete the second factor of a user, if there is one."""
        ...
