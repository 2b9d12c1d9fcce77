"""Suspending, activating and signing out other people, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.update_user import UserChange
from chatbill.application.chat.events import Stopped
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import AccountState, User, UserRole
from chatbill.domain.shared.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from chatbill.domain.shared.ids import UserId
from tests.kit.engines import ControlledEngine
from tests.kit.staff import id_of
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import CATALOGUE, MINI, PASSWORD, World, world

WHY = AdminAction(reason="Sells the account")


@dataclass
class Office:
    world: World
    root: Principal
    alice: Principal

    async def sign_in(self, name: str = "alice") -> SignedIn:
        return await self.world.use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD))

    async def suspend(self, name: str = "alice") -> None:
        await self.change(name, state=AccountState.SUSPENDED)

    async def activate(self, name: str = "alice") -> None:
        await self.change(name, state=AccountState.ACTIVE)

    async def change(self, name: str, **change: Any) -> User:
        update = self.world.use_cases.administration.update_user
        return await update(self.root, await id_of(self.world, name), UserChange(**change), WHY)


@pytest_asyncio.fixture(params=EVERY_STORE)
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    store = STORES[request.param](tmp_path)
    here = world(store=store, engine=ControlledEngine(CATALOGUE))
    await here.use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    root = await here.use_cases.administration.find_administrator("root")
    here.clock.advance(1)
    yield Office(here, root, await here.person("alice"))
    await store.close()


async def test_suspending_ends_sessions_refuses_keys_and_sign_ins_and_activating_allows_them_again(
    office: Office,
) -> None:
    accounts = office.world.use_cases.accounts
    signed_in = await office.sign_in()
    key = await accounts.create_api_key(signed_in.principal, NewApiKey(name="CI"))
    await office.suspend("ALICE@example.org")
    for refused in (
        accounts.authenticate(signed_in.access_token),
        accounts.refresh(signed_in.refresh_token),
        accounts.authenticate_key(key.text),
    ):
        with pytest.raises(Unauthenticated):
            await refused
    with pytest.raises(Forbidden):
        await office.sign_in()
    await office.suspend()
    assert (await office.world.use_cases.administration.show_user.unchecked("alice")).user.is_enabled is False
    await office.activate()
    assert (await accounts.authenticate_key(key.text)).username == "alice"
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(signed_in.access_token)
    assert (await office.sign_in()).principal.username == "alice"


async def test_suspending_stops_running_replies_of_this_person_only(office: Office) -> None:
    chat = office.world.use_cases.chat
    bob = await office.world.person("bob")
    mine = await chat.send_message(office.alice, Message(model=MINI, text="one two three"))
    other = await chat.send_message(bob, Message(model=MINI, text="one two three"))
    await office.suspend()
    assert await chat.apply_stop_requests() == 1
    async with asyncio.timeout(5):
        assert isinstance(await mine.finished(), Stopped)
    assert chat.replies.running_ids() == [other.accepted.interaction_id]
    office.world.use_cases.chat.replies.stop(other.accepted.interaction_id)
    async with asyncio.timeout(5):
        await other.finished()


async def test_a_message_that_was_authenticated_before_the_suspension_is_not_accepted_after_it(office: Office) -> None:
    await office.suspend()
    with pytest.raises(Forbidden):
        await office.world.use_cases.chat.send_message(office.alice, Message(model=MINI, text="hello"))


async def test_signing_out_ends_every_session_and_leaves_the_keys(office: Office) -> None:
    accounts = office.world.use_cases.accounts
    first, second = await office.sign_in(), await office.sign_in()
    key = await accounts.create_api_key(first.principal, NewApiKey(name="CI"))
    ended = await office.world.use_cases.administration.sign_out_user(office.root, office.alice.user_id, WHY)
    assert ended == 3
    for each in (first, second):
        with pytest.raises(Unauthenticated):
            await accounts.authenticate(each.access_token)
    assert (await accounts.authenticate_key(key.text)).username == "alice"
    assert (await office.sign_in()).principal.username == "alice"


async def test_only_administrators_act_with_a_reason_on_people_that_exist_and_not_on_themselves(
    office: Office,
) -> None:
    administration = office.world.use_cases.administration
    root, alice = office.root.user_id, office.alice.user_id

    async def suspend(principal: Principal, user_id: UserId, order: AdminAction) -> object:
        return await administration.update_user(principal, user_id, UserChange(state=AccountState.SUSPENDED), order)

    for action in (suspend, administration.sign_out_user, administration.make_password_link):
        with pytest.raises(Forbidden):
            await action(office.alice, root, WHY)
        with pytest.raises(InvalidRequest):
            await action(office.root, alice, AdminAction(reason=" "))
        with pytest.raises(NotFound):
            await action(office.root, UserId("carol"), WHY)
    with pytest.raises(Forbidden):
        await suspend(office.root, root, WHY)


async def test_users_are_listed_in_pages_the_newest_first(office: Office) -> None:
    list_users = office.world.use_cases.administration.list_users
    first, rest = await list_users(office.root, limit=1), (await list_users(office.root)).items
    assert [record.user.username for record in rest] == ["alice", "root"]
    assert first.items == rest[:1]
    assert (await list_users(office.root, cursor=first.next_cursor)).items == rest[1:]
    assert (rest[0].balance, rest[0].held) == (100, 0)
