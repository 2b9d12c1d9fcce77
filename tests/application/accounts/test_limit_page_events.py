from __future__ import annotations

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.limit_page_events import LimitPageEvents
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.shared.errors import RateLimited
from tests.kit.support import world

OF_PERSON = Limit(name="person", times=2, window_s=3_600)
OF_ADDRESS = Limit(name="address", times=3, window_s=3_600)


async def test_events_are_limited_for_each_person_and_for_each_address() -> None:
    here = world()
    alice, bob = await here.person("alice"), await here.person("bob")
    limit = LimitPageEvents(rate_limits=MovingWindowRateLimits(), of_person=OF_PERSON, of_address=OF_ADDRESS)
    for _ in range(2):
        await limit(alice, "192.0.2.1")
    for address in ("192.0.2.1", "192.0.2.2"):
        with pytest.raises(RateLimited):
            await limit(alice, address)
    # What was refused was not counted for the address.
    await limit(bob, "192.0.2.1")
    with pytest.raises(RateLimited):
        await limit(bob, "192.0.2.1")
