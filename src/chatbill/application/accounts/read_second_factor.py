"""Read whether one's sign-ins need a second factor."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal, require_sign_in


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorState:
    """Whether sign-ins need a code, and how many recovery codes are left."""

    is_active: bool
    recovery_codes_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSecondFactor:
    """Read the state of the principal's second factor. Raises `Forbidden` for an API key."""

    store: Store

    async def __call__(self, principal: Principal) -> SecondFactorState:
        """Return the state; a secret that was not confirmed counts as none."""
        require_sign_in(principal)
        factor = await self.store.read(lambda snapshot: snapshot.second_factors.get(principal.user_id))
        if factor is None or not factor.is_active:
            return SecondFactorState(is_active=False, recovery_codes_left=0)
        return SecondFactorState(is_active=True, recovery_codes_left=len(factor.recovery_digests))
