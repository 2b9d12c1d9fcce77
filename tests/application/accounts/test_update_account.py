"""Changing the username and the e-mail address, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.ports.store import Transaction
from chatbill.domain.accounts.preferences import SpendingLimits
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.errors import EmailTaken, Forbidden, InvalidRequest, UsernameTaken
from chatbill.domain.shared.ids import ApiKeyId
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import PASSWORD, World, world


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    made = world(store=STORES[request.param](tmp_path))
    yield made
    await made.store.close()


async def test_what_is_given_changes_and_the_rest_stays(here: World) -> None:
    alice, update = await here.person(), here.use_cases.accounts.update_account
    renamed = await update(alice, AccountChange(username="  Alice.L "))
    assert (renamed.username, renamed.email, renamed.balance) == ("Alice.L", "alice@example.org", 100)
    moved = await update(alice, AccountChange(email="al@example.org"))
    assert (moved.username, moved.email) == ("Alice.L", "al@example.org")
    assert await here.use_cases.accounts.read_account(alice) == moved
    assert await update(alice, AccountChange()) == moved
    for login in ("alice.l", "AL@example.org"):
        await here.use_cases.accounts.sign_in(Credentials(login=login, password=PASSWORD))


async def test_another_letter_case_of_ones_own_name_is_no_conflict(here: World) -> None:
    alice = await here.person()
    changed = await here.use_cases.accounts.update_account(alice, AccountChange(username="ALICE"))
    assert changed.username == "ALICE"


async def test_a_name_or_address_of_another_account_is_taken(here: World) -> None:
    alice, _bob, update = await here.person(), await here.person("bob"), here.use_cases.accounts.update_account
    with pytest.raises(UsernameTaken):
        await update(alice, AccountChange(username="BOB"))
    with pytest.raises(EmailTaken):
        await update(alice, AccountChange(email="Bob@example.org"))
    assert (await here.use_cases.accounts.read_account(alice)).username == "alice"


async def test_of_two_accounts_that_take_one_name_at_once_one_gets_it(here: World) -> None:
    people = [await here.person(name) for name in ("alice", "bob", "carol")]
    update = here.use_cases.accounts.update_account
    results = await asyncio.gather(
        *(update(person, AccountChange(username="same")) for person in people), return_exceptions=True
    )
    assert sum(isinstance(result, UsernameTaken) for result in results) == 2


async def test_every_invalid_field_is_named_and_nothing_changes(here: World) -> None:
    alice = await here.person()
    with pytest.raises(InvalidRequest) as caught:
        await here.use_cases.accounts.update_account(alice, AccountChange(username="a b", email="nowhere"))
    assert [error.field for error in caught.value.errors] == ["username", "email"]
    assert (await here.use_cases.accounts.read_account(alice)).username == "alice"


async def test_an_api_key_may_not_change_the_account(here: World) -> None:
    program = replace(await here.person(), api_key_id=ApiKeyId("key"))
    with pytest.raises(Forbidden):
        await here.use_cases.accounts.update_account(program, AccountChange(username="other"))


@pytest.mark.parametrize("username", ["admin", "s.u.p.p.o.r.t", "bo\u0431"])
async def test_a_name_of_staff_or_in_mixed_scripts_is_refused(here: World, username: str) -> None:
    alice = await here.person()
    with pytest.raises(InvalidRequest) as caught:
        await here.use_cases.accounts.update_account(alice, AccountChange(username=username))
    assert [error.field for error in caught.value.errors] == ["username"]


async def test_a_name_that_looks_like_that_of_another_account_is_taken(here: World) -> None:
    alice, _coco = await here.person(), await here.person("coco")
    with pytest.raises(UsernameTaken):
        await here.use_cases.accounts.update_account(alice, AccountChange(username="\u0441\u043e\u0441\u043e"))
    russian = await here.use_cases.accounts.update_account(alice, AccountChange(username="\u0430\u0440\u0430"))
    with pytest.raises(UsernameTaken):
        await here.person("apa")
    assert russian.username == "\u0430\u0440\u0430"


async def test_an_existing_account_with_such_a_name_is_not_affected(here: World) -> None:
    administrator = Registration(username="root", email="r@example.org", password=PASSWORD, role=UserRole.ADMIN)
    await here.use_cases.accounts.register(administrator)
    signed_in = await here.use_cases.accounts.sign_in(Credentials(login="root", password=PASSWORD))

    def demote(tx: Transaction) -> None:
        user = tx.users.get(signed_in.principal.user_id)
        assert user
        tx.users.save(replace(user, username="bo\u0431", role=UserRole.USER))

    await here.store.write(demote)
    principal = (await here.use_cases.accounts.sign_in(Credentials(login="BO\u0431", password=PASSWORD))).principal
    changed = await here.use_cases.accounts.update_account(principal, AccountChange(email="new@example.org"))
    assert (changed.username, changed.email) == ("bo\u0431", "new@example.org")


async def test_a_host_and_its_punycode_are_one_address_for_registration_and_sign_in(here: World) -> None:
    unicode, punycode = "ann@b\u00fccher.example", "ann@xn--bcher-kva.example"
    register = here.use_cases.accounts.register
    await register(Registration(username="ann", email=unicode, password=PASSWORD))
    with pytest.raises(EmailTaken):
        await register(Registration(username="another", email=punycode, password=PASSWORD))
    bob = await here.person("bob")
    with pytest.raises(EmailTaken):
        await here.use_cases.accounts.update_account(bob, AccountChange(email=punycode))
    for login in (unicode, punycode):
        signed_in = await here.use_cases.accounts.sign_in(Credentials(login=login, password=PASSWORD))
        assert signed_in.principal.username == "ann"


async def test_preferences_change_one_by_one_and_are_removed(here: World) -> None:
    alice, update = await here.person(), here.use_cases.accounts.update_account
    first = await update(alice, AccountChange(locale="ru", time_zone="Europe/Moscow", limit_day=5, low_balance=10))
    assert (first.locale, first.low_balance) == ("ru", 10)
    assert first.limits == SpendingLimits(day=5, time_zone="Europe/Moscow")
    second = await update(alice, AccountChange(limit_month=9, username="alice.l"))
    assert second.limits == SpendingLimits(day=5, month=9, time_zone="Europe/Moscow")
    third = await update(alice, AccountChange(locale=None, limit_day=None, limit_month=None, low_balance=None))
    assert (third.locale, third.low_balance, third.limits) == (None, None, SpendingLimits(time_zone="Europe/Moscow"))
    assert await here.use_cases.accounts.read_account(alice) == third


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (AccountChange(locale="english please"), "locale"),
        (AccountChange(locale=""), "locale"),
        (AccountChange(time_zone="Mars/Base"), "time_zone"),
        (AccountChange(time_zone="../../etc/passwd"), "time_zone"),
        (AccountChange(time_zone=""), "time_zone"),
        (AccountChange(limit_day=-1), "spending_limit.day"),
        (AccountChange(limit_month=10**16), "spending_limit.month"),
        (AccountChange(low_balance=-5), "low_balance"),
    ],
)
async def test_a_preference_that_breaks_a_rule_is_named(here: World, change: AccountChange, field: str) -> None:
    alice = await here.person()
    with pytest.raises(InvalidRequest) as refused:
        await here.use_cases.accounts.update_account(alice, change)
    assert [error.field for error in refused.value.errors] == [field]
