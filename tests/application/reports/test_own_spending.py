"""One's own use, on every store: what is shown is what one's own history says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.chat.messages import Message
from chatbill.application.ports.store import Store
from chatbill.application.reports.own_spending import SpendingGroup
from chatbill.application.shared.principal import Principal
from chatbill.domain.reports.periods import Bucket, ReportPeriod
from chatbill.domain.shared.errors import InvalidRequest, RateLimited
from tests.kit.support import MINI, PASSWORD, PRO, World, world

MIDNIGHT = datetime(2026, 3, 29, 22, tzinfo=UTC)  # of March 30 in Berlin, whose clock was put forward that day


async def say(here: World, who: Principal, at: datetime, model: str = MINI) -> None:
    here.clock.now = at
    await (await here.use_cases.chat.send_message(who, Message(model=model, text="one two"))).finished()


async def rows(
    here: World, who: Principal, group: SpendingGroup, start: str, end: str
) -> dict[str | None, tuple[int, int]]:
    period = ReportPeriod.of(start, end, "Europe/Berlin", now=here.clock.now)
    report = await here.use_cases.reports.own_spending(who, period, group)
    total = report.total
    assert total.requests == sum(row.figures.requests for row in report.rows)
    assert total.credits_charged == sum(row.figures.credits_charged for row in report.rows)
    return {row.key: (row.figures.requests, row.figures.credits_charged) for row in report.rows}


@pytest.fixture
async def filled(store: Store) -> tuple[World, Principal]:
    here = world(store=store)
    alice, bob = await here.person(), await here.person("bob")
    await say(here, alice, MIDNIGHT - timedelta(seconds=1))
    await say(here, alice, MIDNIGHT, PRO)
    await say(here, bob, MIDNIGHT, PRO)
    key = await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", password=PASSWORD))
    program = await here.use_cases.accounts.authenticate_key(key.text)
    await say(here, program, MIDNIGHT + timedelta(hours=30))
    return here, alice


async def test_a_day_is_that_of_the_time_zone_and_has_a_row_without_requests(filled: tuple[World, Principal]) -> None:
    here, alice = filled
    found = await rows(here, alice, SpendingGroup.DAY, "2026-03-28", "2026-03-31")
    assert found == {"2026-03-28": (0, 0), "2026-03-29": (1, 1), "2026-03-30": (1, 3), "2026-03-31": (1, 1)}


async def test_models_and_channels_add_up_and_nothing_is_of_another_person(filled: tuple[World, Principal]) -> None:
    here, alice = filled
    period = ("2026-03-01", "2026-03-31")
    assert await rows(here, alice, SpendingGroup.MODEL, *period) == {MINI: (2, 2), PRO: (1, 3)}
    assert await rows(here, alice, SpendingGroup.CHANNEL, *period) == {"api_key": (1, 1), "sign_in": (2, 4)}


async def test_too_many_days_and_too_many_reports_are_refused() -> None:
    here = world(rate_limits=MovingWindowRateLimits())
    alice = await here.person()
    for _ in range(here.policy.own_reports.times):
        await rows(here, replace(alice), SpendingGroup.MODEL, "2026-01-01", "2026-01-01")
    with pytest.raises(InvalidRequest):
        ReportPeriod.of("1970-01-01", "2026-01-01", None, now=here.clock.now).buckets(Bucket.DAY)
    with pytest.raises(RateLimited):
        await rows(here, alice, SpendingGroup.MODEL, "2026-01-01", "2026-01-01")
