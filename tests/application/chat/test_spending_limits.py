"""Limits that people set on their own spending, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.preferences import SpendingLimitReached, SpendingLimits
from tests.kit.staff import member
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import MINI, PRO, World, world


@dataclass
class Scene:
    """A person with 100 credits, and limits of their own."""

    world: World
    alice: Principal

    async def limit(self, **limits: object) -> None:
        await self.world.use_cases.accounts.update_account(self.alice, AccountChange(**limits))  # type: ignore[arg-type]
        user = await self.world.store.read(lambda snapshot: snapshot.users.get(self.alice.user_id))
        assert user
        self.alice = replace(self.alice, limits=user.limits)

    async def say(self, model: str = MINI, key: str | None = None) -> str:
        message = Message(model=model, text="hi", idempotency_key=key)
        reply = await self.world.use_cases.chat.send_message(self.alice, message)
        await reply.finished()
        return reply.accepted.interaction_id


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    made = world(store=STORES[request.param](tmp_path))
    yield Scene(made, await made.person())
    await made.store.close()


async def test_a_message_beyond_the_limit_is_refused_and_nothing_is_held(here: Scene) -> None:
    await here.limit(limit_day=4)
    await here.say(PRO)
    with pytest.raises(SpendingLimitReached) as refused:
        await here.say(PRO, key="k")
    assert (refused.value.required, refused.value.available) == (3, 1)
    assert (refused.value.limit, refused.value.period) == (4, "day")
    await here.say(MINI)
    wallet = await here.world.use_cases.billing.read_balance(here.alice)
    assert (wallet.posted, wallet.held) == (96, 0)
    await here.limit(limit_day=None)
    await here.say(PRO, key="k")


async def test_the_next_day_and_month_begin_in_the_time_zone_of_the_person(here: Scene) -> None:
    here.world.clock.now = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)
    await here.limit(limit_day=3, limit_month=4, time_zone="Europe/Berlin")
    await here.say(PRO)
    with pytest.raises(SpendingLimitReached):
        await here.say(MINI)
    here.world.clock.now += timedelta(minutes=1)  # midnight in Berlin, which begins another month too
    await here.say(PRO)
    here.world.clock.now += timedelta(days=1)
    with pytest.raises(SpendingLimitReached, match="month"):
        await here.say(PRO)
    await here.say(MINI)


async def test_of_messages_at_once_no_more_pass_than_the_limit_allows(here: Scene) -> None:
    await here.limit(limit_month=5)
    answers = await asyncio.gather(*(here.say(MINI) for _ in range(9)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, SpendingLimitReached)]
    assert len(refused) == 4
    assert sum(isinstance(answer, str) for answer in answers) == 5


async def test_a_refund_is_not_spent(here: Scene) -> None:
    await here.limit(limit_day=3)
    first = await here.say(PRO)
    root = await member(here.world)
    refund = here.world.use_cases.administration.refund
    await refund(root, first, AdminAction(reason="Useless"))  # type: ignore[arg-type]
    await here.say(PRO)


async def test_a_limit_of_zero_allows_no_message(here: Scene) -> None:
    await here.limit(limit_day=0)
    with pytest.raises(SpendingLimitReached):
        await here.say(MINI)


async def test_only_the_entries_of_the_period_are_read_however_long_the_history(here: Scene) -> None:
    for _ in range(12):
        await here.say(MINI)
        here.world.clock.now += timedelta(days=3)
    await here.limit(limit_day=1)
    await here.say(MINI)
    with pytest.raises(SpendingLimitReached):
        await here.say(MINI)


@given(
    st.floats(946_684_800, 2_208_988_800),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "nowhere"]),
)
def test_a_period_has_begun_and_has_not_ended(second: float, zone: str) -> None:
    now = datetime.fromtimestamp(second, UTC)
    (_, _, month), (_, _, day) = SpendingLimits(day=1, month=2, time_zone=zone).periods(now)
    assert month <= day <= now
    assert now - day <= timedelta(hours=25)
    assert now - month <= timedelta(days=31, hours=1)
