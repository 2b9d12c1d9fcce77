from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from chatbill.application.accounts.sign_in import Credentials
from chatbill.domain.shared.errors import RateLimited
from chatbill.domain.shared.ids import ConversationId, UserId
from chatbill.entrypoints.ui.tabs import (
    MAX_FOLLOWERS,
    MAX_FOLLOWERS_OF_PERSON,
    MAX_TABS,
    MAX_TABS_OF_PERSON,
    Tab,
    Tabs,
    tab_id,
)
from tests.kit.support import PASSWORD, world

ALICE, BOB = UserId("alice"), UserId("bob")


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def tabs(forgotten: list[str]) -> Tabs:
    return Tabs(forget=forgotten.append)


async def test_each_sign_in_has_names_of_its_own() -> None:
    here = world()
    first = await here.person()
    second = (await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))).principal
    assert tab_id(first, "tab") == tab_id(first, "tab")
    assert len({tab_id(first, "tab"), tab_id(first, "other"), tab_id(second, "tab")}) == 3


def test_the_tab_that_a_person_used_least_recently_makes_place(tabs: Tabs, forgotten: list[str]) -> None:
    first = tabs.enter("0", ALICE)
    for number in range(1, MAX_TABS_OF_PERSON):
        tabs.enter(str(number), ALICE)
    assert tabs.enter("0", ALICE) is first
    tabs.enter("new", ALICE)
    assert forgotten == ["1"]
    assert tabs["0"] is first
    tabs.enter("of bob", BOB)
    assert forgotten == ["1"]


def test_a_tab_that_waits_for_answers_keeps_its_place(tabs: Tabs, forgotten: list[str]) -> None:
    for number in range(MAX_TABS_OF_PERSON):
        tabs.enter(str(number), ALICE).streams = 1
    with pytest.raises(RateLimited) as refusal:
        tabs.enter("new", ALICE)
    assert refusal.value.description.code == "too_many_tabs"
    tabs["3"].streams = 0
    tabs.enter("new", ALICE)
    assert forgotten == ["3"]


def test_there_are_not_more_tabs_in_all_than_a_service_can_keep(tabs: Tabs, forgotten: list[str]) -> None:
    for number in range(MAX_TABS + 5):
        tabs.enter(str(number), UserId(f"person {number // 3}"))
    assert forgotten == ["0", "1", "2", "3", "4"]


def test_a_tab_that_is_not_known_shows_nothing(tabs: Tabs) -> None:
    for name in (None, "", "never seen"):
        assert tabs[name].shown is None


async def test_followers_are_bounded_for_each_person_and_in_all(tabs: Tabs) -> None:
    with ExitStack() as followers:
        for number in range(MAX_FOLLOWERS_OF_PERSON):
            followers.enter_context(tabs.enter(str(number), ALICE).following())
        assert tabs.may_follow(ALICE)
        followers.enter_context(tabs.enter("one more", ALICE).following())
        assert not tabs.may_follow(ALICE)
        assert tabs.may_follow(BOB)
        for number in range(MAX_FOLLOWERS):
            followers.enter_context(tabs.enter(f"{number} of others", UserId(f"person {number}")).following())
        assert not tabs.may_follow(BOB)
    assert tabs.may_follow(ALICE)


async def test_a_tab_is_left_once_its_follower_is_gone() -> None:
    tab, steps = Tab(), list[str]()
    tab.shows(ConversationId("a"), None)

    async def follow() -> None:
        with tab.following() as follower:
            await follower.left
            steps.append("asked to leave")
            await asyncio.sleep(0)
            steps.append("gone")

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await asyncio.gather(tab.leave(), tab.leave())
    steps.append("left")
    await following
    assert steps == ["asked to leave", "gone", "left"]
    assert tab.follower is None
    await tab.leave()
