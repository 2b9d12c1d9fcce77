"""What operators do with the API keys of others: look at them, and end them, on record, on every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.accounts.create_api_key import IssuedKey, NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.list_keys_of_user import KeyRecord
from chatbill.application.administration.revoke_keys import WhichKeys
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from chatbill.domain.shared.ids import ApiKeyId
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import PASSWORD, World, world

LEAKED = AdminAction(reason="It was in a public repository")


@dataclass
class Office:
    world: World
    root: Principal
    alice: Principal
    bob: Principal

    async def key(self, owner: Principal, name: str = "CI") -> IssuedKey:
        return await self.world.use_cases.accounts.create_api_key(owner, NewApiKey(name=name))

    async def is_live(self, issued: IssuedKey) -> bool:
        try:
            await self.world.use_cases.accounts.authenticate_key(issued.text)
        except Unauthenticated:
            return False
        return True

    async def records(self, login: str = "alice") -> list[KeyRecord]:
        return await self.world.use_cases.administration.list_keys_of_user(login)


@pytest_asyncio.fixture(params=EVERY_STORE)
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    store = STORES[request.param](tmp_path)
    here = world(store=store)
    await here.use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    root = await here.use_cases.administration.find_administrator("ROOT@example.org")
    yield Office(here, root, await here.person("alice"), await here.person("bob"))
    await store.close()


async def test_a_key_is_ended_with_reason_and_name_and_no_other_is(office: Office) -> None:
    leaked, other, bobs = (
        await office.key(office.alice),
        await office.key(office.alice, "x"),
        await office.key(office.bob),
    )
    office.world.clock.advance(60)
    (revoked,) = await office.world.use_cases.administration.revoke_keys(
        office.root, WhichKeys(ids=(leaked.key.id,)), LEAKED
    )
    assert (revoked.owner, revoked.was_revoked) == ("alice", False)
    assert [await office.is_live(key) for key in (leaked, other, bobs)] == [False, True, True]
    record, untouched = await office.records()
    assert (record.revoked_by, record.state.key.revoked_why) == ("root", LEAKED.reason)
    assert record.state.key.revoked_at == office.world.clock()
    assert not record.state.is_live
    assert (untouched.revoked_by, untouched.state.key.revoked_why) == (None, None)


async def test_all_keys_of_a_person_are_ended_at_once_and_nobody_elses(office: Office) -> None:
    alices = [await office.key(office.alice, name) for name in ("a", "b", "c")]
    bobs = await office.key(office.bob)
    revoked = await office.world.use_cases.administration.revoke_keys(
        office.root, WhichKeys(owner="Alice@example.org"), LEAKED
    )
    assert {each.key.id for each in revoked} == {each.key.id for each in alices}
    assert not any([await office.is_live(key) for key in alices])
    assert await office.is_live(bobs)
    assert await office.world.use_cases.administration.revoke_keys(office.root, WhichKeys(owner="alice"), LEAKED) == []


async def test_what_an_owner_revoked_stays_theirs(office: Office) -> None:
    issued = await office.key(office.alice)
    await office.world.use_cases.accounts.revoke_api_key(office.alice, issued.key.id)
    office.world.clock.advance(60)
    (again,) = await office.world.use_cases.administration.revoke_keys(
        office.root, WhichKeys(ids=(issued.key.id,)), LEAKED
    )
    assert again.was_revoked
    (record,) = await office.records()
    assert (record.revoked_by, record.state.key.revoked_why) == ("alice", None)


async def test_all_are_ended_or_none(office: Office) -> None:
    issued = await office.key(office.alice)
    with pytest.raises(NotFound, match="cb_none"):
        await office.world.use_cases.administration.revoke_keys(
            office.root, WhichKeys(ids=(issued.key.id, ApiKeyId("none"))), LEAKED
        )
    with pytest.raises(NotFound, match="nobody"):
        await office.world.use_cases.administration.revoke_keys(
            office.root, WhichKeys(ids=(issued.key.id,), owner="nobody"), LEAKED
        )
    assert await office.is_live(issued)


async def test_only_an_administrator_does_it_and_only_with_a_reason(office: Office) -> None:
    issued = await office.key(office.alice)
    which = WhichKeys(ids=(issued.key.id,))
    with pytest.raises(Forbidden):
        await office.world.use_cases.administration.revoke_keys(office.bob, which, LEAKED)
    with pytest.raises(Forbidden):
        await office.world.use_cases.administration.revoke_keys(
            await office.world.use_cases.accounts.authenticate_key((await office.key(office.root)).text), which, LEAKED
        )
    for reason in ("", " ", "x" * 501, "two\x00"):
        with pytest.raises(InvalidRequest):
            await office.world.use_cases.administration.revoke_keys(office.root, which, AdminAction(reason=reason))
    assert await office.is_live(issued)


@pytest.mark.parametrize("login", ["alice", "nobody", ""])
async def test_who_is_no_administrator_is_not_taken_for_one(office: Office, login: str) -> None:
    with pytest.raises(Forbidden, match=rf"^administrator_unknown\(login={login}\)$"):
        await office.world.use_cases.administration.find_administrator(login)


async def test_keys_of_nobody_are_not_found(office: Office) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await office.records("nobody")
    assert await office.records("bob") == []
