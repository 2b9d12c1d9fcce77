"""Limit how often a person and an address may send events of the web page."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.ports.rate_limits import Limit, RateLimits
from chatbill.application.shared.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPageEvents:
    """Count one event of the page, such as a click. Raises `RateLimited`."""

    rate_limits: RateLimits
    of_person: Limit
    of_address: Limit

    async def __call__(self, principal: Principal, address: str) -> None:
        """Count the event for the person and for the address that it came from."""
        # The person comes first, so that what is refused there does not use up what others at the address may do.
        await self.rate_limits.hit(self.of_person, principal.user_id)
        await self.rate_limits.hit(self.of_address, address)
