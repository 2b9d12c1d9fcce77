from __future__ import annotations

from chatbill.application.accounts.read_limits import LimitLeft
from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from tests.kit.support import PRO, World, world


async def limits(here: World, person: Principal) -> list[tuple[str, int, int]]:
    return [(each.period, each.limit, each.left) for each in await here.use_cases.accounts.read_limits(person)]


async def spend(here: World, person: Principal) -> None:
    """Spend 3 credits."""
    reply = await here.use_cases.chat.send_message(person, Message(model=PRO, text="Hello"))
    await reply.finished()


async def test_without_limits_there_is_nothing_to_read() -> None:
    here = world()
    assert await limits(here, await here.person()) == []


async def test_what_was_spent_in_a_period_is_not_left() -> None:
    here = world()
    alice = await here.person()
    await here.use_cases.accounts.update_account(alice, AccountChange(limit_day=10, limit_month=100))
    await spend(here, alice)
    assert await limits(here, alice) == [("month", 100, 97), ("day", 10, 7)]
    here.clock.advance(24 * 3_600)
    await spend(here, alice)
    assert await limits(here, alice) == [("month", 100, 94), ("day", 10, 7)]


async def test_spending_beyond_a_lowered_limit_leaves_nothing() -> None:
    here = world()
    alice = await here.person()
    await spend(here, alice)
    await here.use_cases.accounts.update_account(alice, AccountChange(limit_day=2))
    assert await limits(here, alice) == [("day", 2, 0)]
    assert LimitLeft(period="day", limit=2, spent=2).left == 0


async def test_days_are_those_of_the_persons_time_zone() -> None:
    here = world()
    alice = await here.person()
    await here.use_cases.accounts.update_account(alice, AccountChange(limit_day=10, time_zone="Asia/Tokyo"))
    here.clock.advance(14 * 3_600)
    await spend(here, alice)
    assert await limits(here, alice) == [("day", 10, 7)]
    here.clock.advance(2 * 3_600)
    assert await limits(here, alice) == [("day", 10, 10)]
