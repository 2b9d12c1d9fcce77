"""Read refunds: what was given back of the charges for replies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chatbill.application.ports.store import Store
from chatbill.application.shared.principal import Principal
from chatbill.domain.chat.interactions import Interaction
from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True)
class Refunded:
    """The credits that were given back for one reply together, and the time of the last of them."""

    credits: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRefunds:
    """Read what the principal got back."""

    store: Store

    async def __call__(
        self, principal: Principal, interactions: Iterable[Interaction]
    ) -> dict[InteractionId, Refunded]:
        """Return the refunds of those interactions that have some."""
        charged = {one.hold_id: one.id for one in interactions if one.credits_charged}
        if not charged:
            return {}
        entries = await self.store.read(lambda snapshot: snapshot.ledger.refunds_of(list(charged)))
        found: dict[InteractionId, Refunded] = {}
        for entry in entries:
            hold_id = entry.cause.hold_id
            if hold_id is None or entry.wallet_id != principal.wallet_id:
                continue
            before = found.get(charged[hold_id], Refunded(0, entry.created_at))
            found[charged[hold_id]] = Refunded(before.credits + entry.amount, max(before.at, entry.created_at))
        return found
