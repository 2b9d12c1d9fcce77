"""The audit trail of accounts: every security event is recorded with its act, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.update_user import UserChange
from chatbill.application.shared.origin import Origin, coming_from
from chatbill.domain.accounts.users import AccountState
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.errors import ChatbillError, Forbidden, InvalidCredentials, RateLimited, Unauthenticated
from tests.kit.staff import member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import PASSWORD, World, world

NEW = "analytical engine 1"


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    store = STORES[request.param](tmp_path)
    yield world(store=store)
    await store.close()


def told(record: AuditRecord) -> tuple[object, ...]:
    return record.action, record.actor, record.subject_kind, dict(record.after)


async def test_registration_and_sign_in_are_recorded_with_where_they_came_from(here: World) -> None:
    with coming_from(Origin("192.0.2.7", "r-1")):
        alice = await here.person()
    registered, signed_in = await trail(here)
    assert told(registered) == (AuditAction.REGISTERED, alice.user_id, "user", {"role": "user", "credits": 100})
    assert told(signed_in) == (AuditAction.SIGNED_IN, alice.user_id, "session", {"use": "api"})
    assert (registered.subject_id, signed_in.subject_id) == (alice.user_id, alice.session_id)
    assert {(each.address, each.request_id) for each in (registered, signed_in)} == {("192.0.2.7", "r-1")}


@pytest.mark.parametrize("login", ["alice", "ALICE@example.org", "nobody here"])
async def test_a_wrong_password_is_recorded_with_a_pseudonym_and_never_the_name(here: World, login: str) -> None:
    alice = await here.person()
    with pytest.raises(InvalidCredentials):
        await here.use_cases.accounts.sign_in(Credentials(login=login, password="wrong"))
    (failed,) = await trail(here, AuditAction.SIGN_IN_FAILED)
    assert failed.actor is None
    assert failed.subject_id == (None if login == "nobody here" else alice.user_id)
    assert failed.after["because"] == "invalid_credentials"
    assert failed.after["login"] == here.ports.tokens.pseudonym(login.casefold())
    assert login.casefold() not in str(failed).casefold()


async def test_a_sign_in_to_a_suspended_account_is_recorded_although_it_is_refused(here: World) -> None:
    alice, root = await here.person(), await member(here)
    suspended = UserChange(state=AccountState.SUSPENDED)
    await here.use_cases.administration.update_user(root, alice.user_id, suspended, AdminAction(reason="Spam"))
    with pytest.raises(Forbidden):
        await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    (failed,) = await trail(here, AuditAction.SIGN_IN_FAILED)
    assert (failed.subject_id, failed.after["because"]) == (alice.user_id, "account_disabled")
    (signed_in,) = await trail(here, AuditAction.SIGNED_IN)
    assert signed_in.subject_id == alice.session_id


async def test_what_a_limit_refuses_before_the_password_is_checked_leaves_no_record() -> None:
    here = world(rate_limits=MovingWindowRateLimits())
    await here.person()
    refused: list[ChatbillError] = []
    for _ in range(30):
        with pytest.raises(ChatbillError) as error:
            await here.use_cases.accounts.sign_in(Credentials(login="alice", password="wrong"))
        refused.append(error.value)
    checked = [error for error in refused if not isinstance(error, RateLimited)]
    assert len(checked) < len(refused)
    assert len(await trail(here, AuditAction.SIGN_IN_FAILED)) == len(checked)


async def test_signing_out_is_recorded_once(here: World) -> None:
    alice, accounts = await here.person(), here.use_cases.accounts
    other = (await accounts.sign_in(Credentials(login="alice", password=PASSWORD))).principal
    assert other.session_id
    for _ in range(2):
        await accounts.end_session(alice, other.session_id)
        await accounts.sign_out(alice)
    ended, left = await trail(here, AuditAction.SIGNED_OUT)
    assert (ended.subject_id, ended.after["because"]) == (other.session_id, "ended_by_owner")
    assert (left.subject_id, left.after["because"]) == (alice.session_id, "signed_out")


async def test_a_refresh_token_that_is_used_again_is_recorded_and_a_refresh_is_not(here: World) -> None:
    alice, accounts = await here.person(), here.use_cases.accounts
    signed_in = await accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    before = len(await trail(here))
    await accounts.refresh(signed_in.refresh_token)
    assert len(await trail(here)) == before
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await accounts.refresh(signed_in.refresh_token)
    (reused,) = (await trail(here))[before:]
    session = {"session": signed_in.principal.session_id}
    assert told(reused) == (AuditAction.TOKEN_REUSED, None, "user", session)
    assert reused.subject_id == alice.user_id


async def test_keys_are_recorded_when_they_are_made_and_revoked(here: World) -> None:
    alice, accounts = await here.person(), here.use_cases.accounts
    first, second = [await accounts.create_api_key(alice, NewApiKey(name=name)) for name in "ab"]
    for _ in range(2):
        await accounts.revoke_api_key(alice, first.key.id)
    await accounts.change_password(alice, PasswordChange(current=PASSWORD, new=NEW, revoke_api_keys=True))
    made = await trail(here, AuditAction.KEY_MADE)
    assert [record.subject_id for record in made] == [first.key.id, second.key.id]
    assert dict(made[0].after) == {"scopes": "chat", "monthly_cap": None}
    revoked = await trail(here, AuditAction.KEY_REVOKED)
    assert [(record.subject_id, record.actor) for record in revoked] == [
        (first.key.id, alice.user_id),
        (second.key.id, alice.user_id),
    ]


async def test_passwords_and_names_are_recorded_without_their_values(here: World) -> None:
    alice, root, accounts = await here.person(), await member(here), here.use_cases.accounts
    with pytest.raises(InvalidCredentials):
        await accounts.change_password(alice, PasswordChange(current="wrong", new=NEW))
    await accounts.change_password(alice, PasswordChange(current=PASSWORD, new=NEW))
    make = here.use_cases.administration.make_password_link
    link = await make(root, alice.user_id, AdminAction(reason="Lost"))
    await accounts.reset_password(PasswordReset(token=link.token, new="a whole new one"))
    await accounts.update_account(alice, AccountChange(username="alicia", email="alicia@example.org"))
    await accounts.update_account(alice, AccountChange(username="alicia"))
    records = [record for record in await trail(here) if record.subject_id == alice.user_id][1:]
    assert [told(record) for record in records] == [
        (AuditAction.SIGN_IN_FAILED, alice.user_id, "user", {"because": "wrong_current_password"}),
        (AuditAction.PASSWORD_CHANGED, alice.user_id, "user", {"sessions_ended": 0}),
        (AuditAction.PASSWORD_LINK_MADE, root.user_id, "user", {"expires_at": link.expires_at.isoformat()}),
        (AuditAction.PASSWORD_RESET, alice.user_id, "user", {"sessions_ended": 1}),
        (AuditAction.ACCOUNT_UPDATED, alice.user_id, "user", {"fields": "username email"}),
    ]
    assert "alicia" not in str(records)


async def test_an_act_that_fails_leaves_no_record(here: World) -> None:
    alice, accounts = await here.person(), here.use_cases.accounts
    before = await trail(here)
    with pytest.raises(ChatbillError):
        await accounts.create_api_key(alice, NewApiKey(name=""))
    with pytest.raises(ChatbillError):
        await accounts.update_account(replace(alice, user_id=alice.user_id), AccountChange(username="no spaces"))
    with pytest.raises(ChatbillError):
        await here.person()
    assert await trail(here) == before
