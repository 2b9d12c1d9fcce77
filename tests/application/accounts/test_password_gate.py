"""The line before the work on passwords, and the budgets of those who ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.password_gate import PasswordGate
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.ports.passwords import Verified
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.shared.bounds import PasswordBounds
from chatbill.domain.shared.errors import InvalidCredentials, Overloaded, RateLimited
from chatbill.testing import FreeRateLimits, PlainPasswords
from tests.application.accounts.test_passwords import link, office
from tests.kit.support import PASSWORD, World, world
from tests.kit.waiting import eventually

NEW = "a whole new one"


class Line:
    """A gate with one place, and the origins in the order of their turns."""

    def __init__(self, *, waiting: int = 100, waiting_each: int = 100) -> None:
        bounds = PasswordBounds(at_once=1, waiting=waiting, waiting_each=waiting_each)
        self.gate = PasswordGate(FreeRateLimits(), bounds)
        self.turns: list[str] = []

    async def work(self, origin: str) -> None:
        async with self.gate.turn(origin):
            self.turns.append(origin)

    async def come(self, *origins: str) -> list[asyncio.Task[None]]:
        """Ask for a turn for each."""
        tasks = [asyncio.create_task(self.work(origin)) for origin in origins]
        await asyncio.sleep(0)
        return tasks

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take the only place."""
        async with self.gate.turn("first"):
            yield


async def test_origins_take_turns() -> None:
    line = Line()
    async with line.taken():
        tasks = await line.come("a", "a", "a", "b", "c", "b")
        assert line.gate.waiting == 6
    await asyncio.gather(*tasks)
    assert line.turns == ["a", "b", "c", "a", "b", "a"]
    assert line.gate.waiting == 0


async def test_an_origin_has_a_share_of_the_line_and_the_line_has_an_end() -> None:
    line = Line(waiting=3, waiting_each=2)
    async with line.taken():
        tasks = await line.come("a", "a", "b")
        with pytest.raises(RateLimited) as refused:
            await line.work("a")
        assert refused.value.description.code == "passwords_of_origin"
        with pytest.raises(Overloaded) as full:
            await line.work("c")
        assert full.value.description.code == "passwords_in_all"
        assert full.value.retry_after_s >= 1
    await asyncio.gather(*tasks)
    assert line.turns == ["a", "b", "a"]


async def test_a_cancelled_wait_leaves_the_line() -> None:
    line = Line()
    async with line.taken():
        gone = await line.come("a", "a", "b")
        [stays] = await line.come("c")
        for task in gone:
            task.cancel()
        await eventually(lambda: line.gate.waiting == 1)
    await stays
    assert line.turns == ["c"]


@pytest.mark.parametrize("moment", ["just before", "at"])
async def test_a_wait_that_is_cancelled_around_its_turn_passes_the_turn_on(moment: str) -> None:
    line = Line()
    async with line.taken():
        gone, stays = await line.come("a", "b")
        if moment == "just before":
            gone.cancel()
    if moment == "at":
        gone.cancel()
    await asyncio.wait_for(stays, 5)
    assert line.turns == ["b"]
    await asyncio.wait_for(line.work("c"), 5)


async def test_work_that_fails_ends_its_turn() -> None:
    line = Line()
    for _ in range(2):
        with pytest.raises(InvalidCredentials):
            async with line.gate.turn("a"):
                raise InvalidCredentials


@pytest.mark.parametrize("limited", ["per_origin", "in_all"])
async def test_turns_have_a_budget_by_origin_and_in_all(limited: str) -> None:
    bounds = PasswordBounds(**{limited: Limit(name=limited, times=3, window_s=60)})  # type: ignore[arg-type]
    gate = PasswordGate(MovingWindowRateLimits(), bounds)

    async def take(origin: str) -> None:
        async with gate.turn(origin):
            pass

    for _ in range(3):
        await take("a")
    with pytest.raises(RateLimited):
        await take("a")
    if limited == "per_origin":
        await take("b")
    else:
        with pytest.raises(RateLimited):
            await take("b")


class SlowPasswords(PlainPasswords):
    """Waits before each hash and check, and counts them."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.begun = 0

    async def hash(self, password: str) -> str:
        self.begun += 1
        await self.go.wait()
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> Verified:
        self.begun += 1
        await self.go.wait()
        return await super().verify(password, stored)


async def test_all_work_on_passwords_is_in_the_line() -> None:
    passwords = SlowPasswords()
    here = await office(passwords=passwords)
    accounts, carol, token = here.use_cases.accounts, await here.person("carol"), await link(here)
    here.clock.advance(here.policy.fresh_sign_in_s + 1)
    passwords.go.clear()
    passwords.begun = 0
    tasks = [
        asyncio.create_task(accounts.sign_in(Credentials(login="alice", password=PASSWORD))),
        asyncio.create_task(accounts.web_sign_in(Credentials(login="alice", password=PASSWORD))),
        asyncio.create_task(accounts.register(Registration(username="bob", email="bob@b.example", password=PASSWORD))),
        asyncio.create_task(accounts.change_password(carol, PasswordChange(current=PASSWORD, new=NEW))),
        asyncio.create_task(accounts.create_api_key(carol, NewApiKey(name="job", password=PASSWORD))),
        asyncio.create_task(accounts.reset_password(PasswordReset(token=token, new=NEW, address="192.0.2.1"))),
    ]
    await eventually(lambda: accounts.password_gate.waiting == 5)
    assert passwords.begun == 1
    passwords.go.set()
    await asyncio.gather(*tasks)
    assert passwords.begun == 8


class CountedPasswords(PlainPasswords):
    """Notes how many hashes and checks were running at once."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def hash(self, password: str) -> str:
        await self._work()
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> Verified:
        await self._work()
        return await super().verify(password, stored)

    async def _work(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1


async def test_a_change_of_a_password_is_checked_and_hashed_in_turns_of_its_own() -> None:
    passwords = CountedPasswords()
    here = await office(passwords=passwords)
    people = [await here.person(name) for name in ("carol", "dave", "erin")]
    here.clock.advance(here.policy.fresh_sign_in_s + 1)
    change = PasswordChange(current=PASSWORD, new=NEW)
    await asyncio.gather(*(here.use_cases.accounts.change_password(person, change) for person in people))
    assert passwords.most == 1


async def guess(here: World, login: str, address: str) -> None:
    await here.use_cases.accounts.sign_in(Credentials(login=login, password="guess 1 guess", address=address))


async def test_one_password_for_many_names_is_limited_by_address() -> None:
    passwords = SlowPasswords()
    here = world(rate_limits=MovingWindowRateLimits(), passwords=passwords)
    await here.person("alice")
    for number in range(30):
        with pytest.raises(InvalidCredentials):
            await guess(here, f"name{number}", "192.0.2.1")
    passwords.begun = 0
    with pytest.raises(RateLimited):
        await guess(here, "another", "192.0.2.1")
    assert passwords.begun == 0
    await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD, address="192.0.2.2"))


async def test_guesses_at_once_are_limited_by_address() -> None:
    here = world(rate_limits=MovingWindowRateLimits(), passwords=SlowPasswords())
    guesses = (guess(here, f"name{number}", "192.0.2.1") for number in range(60))
    errors = [type(error) for error in await asyncio.gather(*guesses, return_exceptions=True)]
    assert errors.count(InvalidCredentials) == 30
    assert errors.count(RateLimited) == 30


async def test_good_sign_ins_use_none_of_the_failures_of_an_address() -> None:
    here = world(rate_limits=MovingWindowRateLimits())
    await here.person("alice")
    for _ in range(40):
        await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD, address="192.0.2.1"))


async def test_guesses_for_one_name_from_many_addresses_are_limited() -> None:
    here = world(rate_limits=MovingWindowRateLimits())
    await here.person("alice")
    for number in range(100):
        with pytest.raises(InvalidCredentials):
            await guess(here, "alice", f"192.0.2.{number}")
    with pytest.raises(RateLimited):
        await guess(here, "Alice", "198.51.100.1")
    with pytest.raises(InvalidCredentials):
        await guess(here, "bob", "198.51.100.1")
