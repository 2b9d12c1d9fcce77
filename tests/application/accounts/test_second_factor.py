"""The second factor: sign-ins need a code, each code is good once, and no code can be guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.authenticate_key import AuthenticateKey
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.remove_second_factor import Removal
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.assembly import assemble
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.passwords import PasswordRequired
from chatbill.domain.accounts.second_factors import RECOVERY_CODES, SecondFactorRequired, WrongCode
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import Conflict, Forbidden, InvalidCredentials, NotFound, RateLimited
from chatbill.testing import PlainOneTimeCodes
from tests.kit.staff import member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import PASSWORD, World, world

NEW = "analytical engine 1"


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    store = STORES[request.param](tmp_path)
    yield world(store=store)
    await store.close()


def code_of(here: World, secret: str, steps: int = 0) -> str:
    """The code that the app shows now, or so many steps later."""
    codes = cast("PlainOneTimeCodes", here.ports.one_time_codes)
    return codes.code(secret, int(here.clock().timestamp()) // 30 + steps)


async def protect(here: World, person: Principal) -> tuple[str, tuple[str, ...]]:
    """Set up a second factor a minute ago; return its secret and the recovery codes."""
    new = await here.use_cases.accounts.set_second_factor(person, PASSWORD)
    codes = await here.use_cases.accounts.confirm_second_factor(person, code_of(here, new.secret))
    here.clock.advance(60)
    return new.secret, codes


async def sign_in(here: World, code: str | None = None, password: str = PASSWORD) -> SignedIn:
    return await here.use_cases.accounts.sign_in(Credentials(login="alice", password=password, code=code))


async def test_a_sign_in_needs_a_code_once_the_second_factor_is_confirmed(here: World) -> None:
    alice = await here.person()
    new = await here.use_cases.accounts.set_second_factor(alice, PASSWORD)
    assert new.secret in new.address
    assert (await sign_in(here)).principal.user_id == alice.user_id
    codes = await here.use_cases.accounts.confirm_second_factor(alice, code_of(here, new.secret))
    assert len(set(codes)) == RECOVERY_CODES
    with pytest.raises(SecondFactorRequired):
        await sign_in(here)
    here.clock.advance(60)
    assert (await sign_in(here, code_of(here, new.secret))).principal.user_id == alice.user_id


async def test_a_wrong_password_gets_the_same_answer_with_and_without_a_second_factor(here: World) -> None:
    alice = await here.person()
    with pytest.raises(InvalidCredentials) as before:
        await sign_in(here, password="wrong")
    secret, _ = await protect(here, alice)
    for code in (None, "000000", code_of(here, secret)):
        with pytest.raises(InvalidCredentials) as after:
            await sign_in(here, code, password="wrong")
        assert after.value.description == before.value.description
    assert (await sign_in(here, code_of(here, secret))).principal.user_id == alice.user_id


async def test_a_code_is_good_once_within_its_step_and_one_of_drift(here: World) -> None:
    secret, _ = await protect(here, await here.person())
    await sign_in(here, code_of(here, secret))
    for steps in (0, -1, -2, 2):
        with pytest.raises(WrongCode):
            await sign_in(here, code_of(here, secret, steps))
    await sign_in(here, code_of(here, secret, 1))
    here.clock.advance(30)
    with pytest.raises(WrongCode):
        await sign_in(here, code_of(here, secret))


async def test_the_code_that_confirmed_is_not_good_for_a_sign_in(here: World) -> None:
    alice = await here.person()
    new = await here.use_cases.accounts.set_second_factor(alice, PASSWORD)
    await here.use_cases.accounts.confirm_second_factor(alice, code_of(here, new.secret))
    with pytest.raises(WrongCode):
        await sign_in(here, code_of(here, new.secret))


async def test_of_two_sign_ins_at_once_one_uses_the_code(here: World) -> None:
    secret, codes = await protect(here, await here.person())
    for code in (code_of(here, secret), codes[0]):
        ended = await asyncio.gather(*(sign_in(here, code) for _ in range(4)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in ended) == ["SignedIn", *["WrongCode"] * 3]


async def test_each_recovery_code_is_good_once_however_it_is_typed(here: World) -> None:
    _, codes = await protect(here, await here.person())
    await sign_in(here, codes[0])
    await sign_in(here, codes[1].lower().replace("-", " "))
    for code in codes[:2]:
        with pytest.raises(WrongCode):
            await sign_in(here, code)
    await sign_in(here, codes[2])


@pytest.mark.parametrize("code", ["12345", "1234567", "x" * 25, "٠١٢٣٤٥", "\x00", "9" * 9_999, " "])
async def test_other_text_is_no_code(here: World, code: str) -> None:
    await protect(here, await here.person())
    with pytest.raises(WrongCode):
        await sign_in(here, code)


async def test_the_store_has_neither_the_codes_nor_anything_that_an_error_or_a_text_shows(here: World) -> None:
    alice = await here.person()
    secret, codes = await protect(here, alice)
    stored = await here.store.read(lambda snapshot: snapshot.second_factors.get(alice.user_id))
    assert stored is not None
    assert not any(code.replace("-", "") in str(stored) for code in codes)
    assert stored.sealed_secret == here.ports.secrets.seal(secret, of=alice.user_id)
    removal = Removal(password=PASSWORD, code=codes[0])
    assert codes[0] not in repr(Credentials(login="alice", password=PASSWORD, code=codes[0])) + repr(removal)
    assert all(secret not in str(record) for record in await trail(here))


async def test_a_second_factor_is_set_up_with_the_password_unless_the_sign_in_is_recent(here: World) -> None:
    alice = await here.person()
    here.clock.advance(600)
    for password, error in ((None, PasswordRequired), ("wrong", InvalidCredentials)):
        with pytest.raises(error):
            await here.use_cases.accounts.set_second_factor(alice, password)
    with pytest.raises(NotFound):
        await here.use_cases.accounts.confirm_second_factor(alice, "123456")
    first = await here.use_cases.accounts.set_second_factor(alice, PASSWORD)
    second = await here.use_cases.accounts.set_second_factor(alice, PASSWORD)
    with pytest.raises(WrongCode):
        await here.use_cases.accounts.confirm_second_factor(alice, code_of(here, first.secret))
    await here.use_cases.accounts.confirm_second_factor(alice, code_of(here, second.secret))
    for again in (
        here.use_cases.accounts.set_second_factor(alice, PASSWORD),
        here.use_cases.accounts.confirm_second_factor(alice, code_of(here, second.secret, 1)),
    ):
        with pytest.raises(Conflict):
            await again


async def test_it_is_removed_with_the_password_and_a_code(here: World) -> None:
    alice = await here.person()
    remove = here.use_cases.accounts.remove_second_factor
    with pytest.raises(NotFound):
        await remove(alice, Removal(password=PASSWORD, code="123456"))
    secret, codes = await protect(here, alice)
    for removal, error in (
        (Removal(password="wrong", code=code_of(here, secret)), InvalidCredentials),
        (Removal(password=PASSWORD), SecondFactorRequired),
        (Removal(password=PASSWORD, code="000000"), WrongCode),
    ):
        with pytest.raises(error):
            await remove(alice, removal)
    await remove(alice, Removal(password=PASSWORD, code=codes[3]))
    await sign_in(here)
    new, _ = await protect(here, alice)
    await remove(alice, Removal(password=PASSWORD, code=code_of(here, new)))
    await sign_in(here)


async def test_one_that_was_not_confirmed_is_removed_with_the_password(here: World) -> None:
    alice = await here.person()
    await here.use_cases.accounts.set_second_factor(alice, PASSWORD)
    await here.use_cases.accounts.remove_second_factor(alice, Removal(password=PASSWORD))
    assert await here.store.read(lambda snapshot: snapshot.second_factors.get(alice.user_id)) is None


async def test_sessions_and_keys_go_on_and_a_link_for_a_new_password_leaves_it(here: World) -> None:
    alice, root = await here.person(), await member(here)
    key = await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))
    secret, _ = await protect(here, alice)
    authenticate_key: AuthenticateKey = here.use_cases.accounts.authenticate_key
    assert (await authenticate_key(key.text)).user_id == alice.user_id
    sessions = await here.store.read(lambda snapshot: snapshot.sessions.live_of(alice.user_id))
    assert [session.id for session in sessions] == [alice.session_id]
    make = here.use_cases.administration.make_password_link
    link = await make(root, alice.user_id, AdminAction(reason="She lost it"))
    await here.use_cases.accounts.reset_password(PasswordReset(token=link.token, new=NEW))
    with pytest.raises(SecondFactorRequired):
        await sign_in(here, password=NEW)
    await sign_in(here, code_of(here, secret), password=NEW)


async def test_the_staff_removes_it_with_a_reason(here: World) -> None:
    alice, root = await here.person(), await member(here)
    support, viewer = await member(here, UserRole.SUPPORT, "sue"), await member(here, UserRole.VIEWER, "vic")
    await protect(here, alice)
    remove, order = here.use_cases.administration.remove_second_factor, AdminAction(reason="She lost her phone")
    for staff, user_id, error in (
        (viewer, alice.user_id, Forbidden),
        (support, root.user_id, Forbidden),
        (alice, alice.user_id, Forbidden),
        (root, root.user_id, Forbidden),
        (root, viewer.user_id, NotFound),
    ):
        with pytest.raises(error):
            await remove(staff, user_id, order)
    await remove(support, alice.user_id, order)
    await sign_in(here)
    (record,) = await trail(here, AuditAction.SECOND_FACTOR_REMOVED)
    assert (record.actor, record.subject_id, record.reason) == (support.user_id, alice.user_id, order.reason)


async def test_what_happens_to_it_is_recorded(here: World) -> None:
    alice = await here.person()
    _, codes = await protect(here, alice)
    for code in (None, "000000"):
        with pytest.raises((SecondFactorRequired, WrongCode)):
            await sign_in(here, code)
    await here.use_cases.accounts.remove_second_factor(alice, Removal(password=PASSWORD, code=codes[0]))
    actions = (AuditAction.SECOND_FACTOR_SET, AuditAction.SECOND_FACTOR_FAILED, AuditAction.SECOND_FACTOR_REMOVED)
    assert [(record.action, record.subject_id, dict(record.after)) for record in await trail(here, *actions)] == [
        (actions[0], alice.user_id, {}),
        (actions[1], alice.user_id, {"because": "second_factor_required"}),
        (actions[1], alice.user_id, {"because": "wrong_code"}),
        (actions[2], alice.user_id, {}),
    ]


async def test_an_erased_account_has_no_second_factor(here: World) -> None:
    alice, root = await here.person(), await member(here)
    await protect(here, alice)
    await here.use_cases.administration.erase_user(root, alice.user_id, AdminAction(reason="She asked"))
    assert await here.store.read(lambda snapshot: snapshot.second_factors.get(alice.user_id)) is None


def limited(**limits: Limit) -> World:
    """A world whose rate limits count, with these limits."""
    here = world(rate_limits=MovingWindowRateLimits())
    high = Limit(name="high", times=999, window_s=60)
    changes: dict[str, Any] = {"sign_in_failures": high, "address_failures": high, "name_failures": high, **limits}
    policy = replace(here.policy, **changes)
    return replace(here, policy=policy, use_cases=assemble(here.ports, policy))


async def test_wrong_codes_count_like_wrong_passwords() -> None:
    for name in ("sign_in_failures", "address_failures", "name_failures"):
        here = limited(**{name: Limit(name=name, times=3, window_s=300)})
        secret, _ = await protect(here, await here.person())
        for _ in range(3):
            with pytest.raises(WrongCode):
                await sign_in(here, "000000")
        with pytest.raises(RateLimited):
            await sign_in(here, code_of(here, secret))


async def test_a_sign_in_in_two_steps_is_no_failure_however_often() -> None:
    here = limited(sign_in_failures=Limit(name="failures", times=3, window_s=300))
    secret, _ = await protect(here, await here.person())
    for _ in range(5):
        with pytest.raises(SecondFactorRequired):
            await sign_in(here)
        here.clock.advance(30)
        await sign_in(here, code_of(here, secret))


async def test_wrong_codes_of_a_user_have_a_limit_of_their_own_that_the_password_does_not_reset() -> None:
    here = limited(code_failures=Limit(name="codes", times=3, window_s=300))
    secret, codes = await protect(here, await here.person())
    for _ in range(3):
        with pytest.raises(SecondFactorRequired):
            await sign_in(here)
        with pytest.raises(WrongCode):
            await sign_in(here, "000000")
    for code in (code_of(here, secret), codes[0]):
        with pytest.raises(RateLimited):
            await sign_in(here, code)
    with pytest.raises(InvalidCredentials):
        await sign_in(here, password="wrong")


async def test_wrong_codes_of_all_users_have_a_limit() -> None:
    here = limited(all_code_failures=Limit(name="all codes", times=2, window_s=300))
    for name in ("alice", "bob"):
        await protect(here, await here.person(name))
        with pytest.raises(WrongCode):
            await here.use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD, code="000000"))
    with pytest.raises(RateLimited):
        await sign_in(here, "000000")


async def test_guesses_made_at_the_same_time_are_counted_too() -> None:
    here = limited(code_failures=Limit(name="codes", times=3, window_s=300))
    await protect(here, await here.person())
    ended = await asyncio.gather(*(sign_in(here, "000000") for _ in range(9)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["RateLimited"] * 6 + ["WrongCode"] * 3
