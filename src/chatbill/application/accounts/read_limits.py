"""Read the limits that a person has set on their own spending, and what they leave."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.spending_caps import spent_since
from chatbill.application.ports.clock import Clock
from chatbill.application.ports.store import Snapshot, Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.shared.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLeft:
    """A limit on the spending of a `period`, day or month, in credits. Held credits count as spent."""

    period: str
    limit: int
    spent: int

    @property
    def left(self) -> int:
        """Return what can still be spent in the period."""
        return max(0, self.limit - self.spent)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Read the limits of the principal."""

    store: Store
    clock: Clock

    async def __call__(self, principal: Principal) -> list[LimitLeft]:
        """Return each limit that is set. Raises `NotFound` if the account is gone."""
        now = self.clock()

        def query(snapshot: Snapshot) -> list[LimitLeft]:
            user, wallet = snapshot.users.get(principal.user_id), snapshot.wallets.get(principal.wallet_id)
            if user is None or wallet is None:
                raise NotFound("account")
            return [
                LimitLeft(
                    period=period, limit=limit, spent=wallet.held + spent_since(snapshot.ledger, wallet.id, start)
                )
                for period, limit, start in user.limits.periods(now)
            ]

        return await self.store.read(query)
