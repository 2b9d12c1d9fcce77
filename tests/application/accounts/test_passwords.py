"""Passwords: which are accepted, how they are compared, and how a new one is set with a link."""

from __future__ import annotations

import unicodedata

import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.reset_password import PasswordReset
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.update_user import UserChange
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.passwords import PasswordRequired
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.shared.errors import (
    ChatbillError,
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from chatbill.domain.shared.ids import UserId
from tests.kit.staff import id_of
from tests.kit.support import PASSWORD, World, world

NEW = "analytical engine 1"
BECAUSE = AdminAction(reason="She lost it")
NFC = unicodedata.normalize("NFC", "pässword für größe")
NFD = unicodedata.normalize("NFD", NFC)


async def sign_in(here: World, password: str = PASSWORD) -> SignedIn:
    return await here.use_cases.accounts.sign_in(Credentials(login="alice", password=password))


async def administrator(here: World) -> Principal:
    await here.use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    return await here.use_cases.administration.find_administrator("root")


async def link(here: World) -> str:
    """Return the token of a new link for Alice."""
    make = here.use_cases.administration.make_password_link
    return (
        await make(await here.use_cases.administration.find_administrator("root"), await id_of(here, "alice"), BECAUSE)
    ).token


async def office(**options: object) -> World:
    """Return a world with Alice and an administrator."""
    here = world(**options)  # type: ignore[arg-type]
    await here.person()
    await administrator(here)
    return here


async def reset(here: World, token: str, new: str = NEW, **more: object) -> None:
    await here.use_cases.accounts.reset_password(PasswordReset(token=token, new=new, **more))  # type: ignore[arg-type]


def rules(error: InvalidRequest) -> list[tuple[str, str]]:
    return [(fault.field, fault.description.code) for fault in error.errors]


class TestRules:
    @pytest.mark.parametrize(
        ("password", "rule"),
        [
            ("12345678", "common_password"),
            ("alice-in-chains", None),
            ("ALICE.LIDDELL@example.org", "password_is_name"),
            ("alice.liddell", "password_is_name"),
            ("ａlice.liddell", "password_is_name"),  # noqa: RUF001 - a fullwidth letter
            ("e\u0301" * 4, "length_out_of_range"),
            ("aaaaaaaa", "one_repeated_character"),
        ],
    )
    async def test_a_new_password_is_not_one_that_is_guessed_first(self, password: str, rule: str | None) -> None:
        here = world()
        new = Registration(username="liddell", email="alice.liddell@example.org", password=password)
        if rule is None:
            await here.use_cases.accounts.register(new)
            return
        with pytest.raises(InvalidRequest) as refused:
            await here.use_cases.accounts.register(new)
        assert rules(refused.value) == [("password", rule)]

    @pytest.mark.parametrize(("new", "rule"), [(PASSWORD, "same_password"), ("12345678", "common_password")])
    async def test_a_changed_password_differs_from_the_old_one(self, new: str, rule: str) -> None:
        here = world()
        alice = await here.person()
        with pytest.raises(InvalidRequest) as refused:
            await here.use_cases.accounts.change_password(alice, PasswordChange(current=PASSWORD, new=new))
        assert rules(refused.value) == [("new_password", rule)]

    @pytest.mark.parametrize(("registered", "typed"), [(NFC, NFD), (NFD, NFC)])
    async def test_a_password_is_the_same_in_every_unicode_spelling(self, registered: str, typed: str) -> None:
        here = world()
        await here.use_cases.accounts.register(
            Registration(username="alice", email="alice@example.org", password=registered)
        )
        alice = (await sign_in(here, typed)).principal
        with pytest.raises(InvalidRequest, match="same_password"):
            await here.use_cases.accounts.change_password(alice, PasswordChange(current=registered, new=typed))


class TestChange:
    @pytest.mark.parametrize("revokes", [False, True])
    async def test_keys_are_revoked_if_asked(self, revokes: bool) -> None:
        here = world()
        alice = await here.person()
        key = await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))
        change = PasswordChange(current=PASSWORD, new=NEW, revoke_api_keys=revokes)
        await here.use_cases.accounts.change_password(alice, change)
        assert await works(here, key.text) is not revokes


class TestLink:
    async def test_a_link_sets_the_password_and_ends_all_sessions(self) -> None:
        here = await office()
        before = await sign_in(here)
        await reset(here, await link(here))
        with pytest.raises(Unauthenticated):
            await here.use_cases.accounts.authenticate(before.access_token)
        with pytest.raises(InvalidCredentials):
            await sign_in(here)
        await sign_in(here, NEW)

    async def test_a_link_is_good_once(self) -> None:
        here = await office()
        token = await link(here)
        await reset(here, token)
        await refused(here, token)
        await sign_in(here, NEW)

    async def test_a_link_expires_after_a_day(self) -> None:
        here = await office()
        token = await link(here)
        here.clock.advance(86_400)
        await refused(here, token)

    async def test_a_new_link_replaces_the_one_before(self) -> None:
        here = await office()
        old, new = await link(here), await link(here)
        await refused(here, old)
        await reset(here, new)

    async def test_a_link_is_void_once_the_password_was_changed(self) -> None:
        here = await office()
        token = await link(here)
        alice = (await sign_in(here)).principal
        await here.use_cases.accounts.change_password(alice, PasswordChange(current=PASSWORD, new=NEW))
        await refused(here, token)

    @pytest.mark.parametrize("junk", ["", ".", "x", "x.", ".x", "nobody.x", "\ud800.x", "a\x00.b", "x." + "y" * 9_999])
    async def test_other_tokens_are_refused(self, junk: str) -> None:
        here = await office()
        token = await link(here)
        user_id, _, secret = token.rpartition(".")
        for wrong in (junk, f"{user_id}.{secret}x", f"{user_id}.", f"x{token}"):
            await refused(here, wrong)

    async def test_a_refused_password_leaves_the_link_as_it_is(self) -> None:
        here = await office()
        token = await link(here)
        for new, rule in (
            (PASSWORD, "same_password"),
            ("alice", "length_out_of_range"),
            ("12345678", "common_password"),
        ):
            with pytest.raises(InvalidRequest) as error:
                await reset(here, token, new)
            assert rules(error.value) == [("new_password", rule)]
        await reset(here, token)

    async def test_only_a_digest_of_the_token_is_stored(self) -> None:
        here = await office()
        token = await link(here)
        user = await here.store.read(lambda snapshot: snapshot.users.by_login("alice"))
        assert user
        assert user.password_link
        assert token.rpartition(".")[2] not in repr(user)

    @pytest.mark.parametrize("revokes", [False, True])
    async def test_keys_are_revoked_if_asked(self, revokes: bool) -> None:
        here = await office()
        key = await here.use_cases.accounts.create_api_key((await sign_in(here)).principal, NewApiKey(name="CI"))
        await reset(here, await link(here), revoke_api_keys=revokes)
        assert await works(here, key.text) is not revokes

    async def test_a_suspended_account_stays_closed(self) -> None:
        here = await office()
        token = await link(here)
        root = await here.use_cases.administration.find_administrator("root")
        suspended = UserChange(state=AccountState.SUSPENDED)
        await here.use_cases.administration.update_user(root, await id_of(here, "alice"), suspended, BECAUSE)
        with pytest.raises(Forbidden):
            await reset(here, token)

    async def test_only_an_administrator_makes_a_link_and_for_a_user_that_exists(self) -> None:
        here = await office()
        alice = (await sign_in(here)).principal
        make = here.use_cases.administration.make_password_link
        with pytest.raises(Forbidden):
            await make(alice, await id_of(here, "root"), BECAUSE)
        with pytest.raises(NotFound):
            await make(await here.use_cases.administration.find_administrator("root"), UserId("carol"), BECAUSE)

    async def test_attempts_from_one_address_are_limited(self) -> None:
        here = await office(rate_limits=MovingWindowRateLimits())
        for _ in range(10):
            await refused(here, "guess.guess")
        with pytest.raises(RateLimited):
            await reset(here, await link(here))
        await reset(here, await link(here), address="192.0.2.7")


class TestConfirmation:
    async def test_a_recent_sign_in_makes_a_key_without_the_password(self) -> None:
        here = world(fresh_sign_in_s=60)
        alice = await here.person()
        here.clock.advance(59)
        await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))

    async def test_an_older_sign_in_needs_the_password_again(self) -> None:
        here = world(fresh_sign_in_s=60)
        alice = await here.person()
        here.clock.advance(60)
        for password, error in ((None, PasswordRequired), ("", PasswordRequired), ("wrong", InvalidCredentials)):
            assert issubclass(error, ChatbillError)
            with pytest.raises(error):
                await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", password=password))
        await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", password=PASSWORD))

    async def test_a_refresh_does_not_make_a_sign_in_recent(self) -> None:
        here = world(fresh_sign_in_s=60)
        await here.person()
        tokens = await sign_in(here)
        here.clock.advance(60)
        refreshed = await here.use_cases.accounts.refresh(tokens.refresh_token)
        alice = await here.use_cases.accounts.authenticate(refreshed.access_token)
        with pytest.raises(PasswordRequired):
            await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))

    async def test_guesses_are_limited(self) -> None:
        here = world(fresh_sign_in_s=0, rate_limits=MovingWindowRateLimits())
        alice = await here.person()
        for _ in range(10):
            with pytest.raises(InvalidCredentials):
                await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", password="guess 1"))
        with pytest.raises(RateLimited):
            await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", password=PASSWORD))


async def refused(here: World, token: str) -> None:
    """Expect that this token sets no password."""
    with pytest.raises(InvalidRequest) as error:
        await reset(here, token)
    assert rules(error.value) == [("token", "unknown_link")]


async def works(here: World, key: str) -> bool:
    """Return whether this API key is accepted."""
    try:
        await here.use_cases.accounts.authenticate_key(key)
    except Unauthenticated:
        return False
    return True
