"""Registering, signing in, staying signed in, and signing out."""

from __future__ import annotations

import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.ports.passwords import Verified
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.accounts.users import UserRole, name_key
from chatbill.domain.shared.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidRequest,
    RateLimited,
    TokenExpired,
    Unauthenticated,
    UsernameTaken,
)
from chatbill.testing import FreeRateLimits, PlainPasswords
from tests.kit.support import PASSWORD, World, world


class OldPasswords(PlainPasswords):
    """Says that every hash is outdated, and counts its work."""

    def __init__(self) -> None:
        self.hashed = 0
        self.verified: list[str | None] = []

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> Verified:
        self.verified.append(stored)
        return Verified(ok=(await super().verify(password, stored)).ok, outdated=True)


class ThreeFailures(FreeRateLimits):
    """Lets everybody fail three times."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}

    async def hit(self, limit: Limit, who: str) -> None:
        if limit.name == "failures":
            if self.failures.get(who, 0) >= 3:
                raise RateLimited(retry_after_s=60)
            self.failures[who] = self.failures.get(who, 0) + 1

    async def forget(self, limit: Limit, who: str) -> None:
        self.failures.pop(who, None)


def registration(username: str = "alice", email: str = "alice@example.org") -> Registration:
    return Registration(username=username, email=email, password=PASSWORD)


def credentials(login: str = "alice", password: str = PASSWORD, address: str = "local") -> Credentials:
    return Credentials(login=login, password=password, address=address)


async def registered(**options: object) -> World:
    here = world(**options)  # type: ignore[arg-type]
    await here.use_cases.accounts.register(registration())
    return here


async def test_a_registration_makes_an_account_with_the_welcome_credits() -> None:
    here = world(welcome_credits=42)
    account = await here.use_cases.accounts.register(registration())
    assert (account.username, account.role, account.balance) == ("alice", UserRole.USER, 42)
    alice = (await here.use_cases.accounts.sign_in(credentials())).principal
    entries = (await here.use_cases.billing.list_transactions(alice)).items
    assert [(entry.kind, entry.signed_amount, entry.balance_after) for entry in entries] == [("grant", 42, 42)]


async def test_without_welcome_credits_the_wallet_is_empty_and_the_books_agree() -> None:
    here = await registered(welcome_credits=0)
    assert (await here.use_cases.audit.verify_ledger(print)).agrees


@pytest.mark.parametrize(
    ("username", "email", "error"),
    [("ALICE", "other@example.org", UsernameTaken), ("other", "Alice@Example.org", EmailTaken)],
)
async def test_names_and_addresses_are_taken_in_every_letter_case(
    username: str, email: str, error: type[Exception]
) -> None:
    here = await registered()
    with pytest.raises(error):
        await here.use_cases.accounts.register(registration(username, email))


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.org", " Alice@example.org "])
async def test_name_and_address_both_sign_in(login: str) -> None:
    here = await registered()
    signed_in = await here.use_cases.accounts.sign_in(credentials(login))
    assert (await here.use_cases.accounts.authenticate(signed_in.access_token)).username == "alice"
    assert signed_in.expires_in_s == 3_600


async def test_wrong_name_and_wrong_password_look_the_same_and_cost_the_same_check() -> None:
    passwords = OldPasswords()
    here = await registered(passwords=passwords)
    with pytest.raises(InvalidCredentials) as wrong_password:
        await here.use_cases.accounts.sign_in(credentials(password="wrong"))
    with pytest.raises(InvalidCredentials) as wrong_name:
        await here.use_cases.accounts.sign_in(credentials("nobody"))
    assert str(wrong_password.value) == str(wrong_name.value)
    assert passwords.verified[0] is not None
    assert passwords.verified[1] is None


async def test_an_outdated_hash_is_renewed_at_sign_in() -> None:
    store, passwords = MemoryStore(), OldPasswords()
    here = await registered(store=store, passwords=passwords)
    before = await store.read(lambda snapshot: snapshot.users.by_login(name_key("alice")))
    await here.use_cases.accounts.sign_in(credentials())
    after = await store.read(lambda snapshot: snapshot.users.by_login(name_key("alice")))
    assert before
    assert after
    assert before.password_hash != after.password_hash
    assert passwords.hashed == 2
    await here.use_cases.accounts.sign_in(credentials())


async def test_too_many_failures_block_one_name_from_one_address() -> None:
    here = await registered(rate_limits=ThreeFailures())
    for _ in range(3):
        with pytest.raises(InvalidCredentials):
            await here.use_cases.accounts.sign_in(credentials(password="wrong"))
    with pytest.raises(RateLimited):
        await here.use_cases.accounts.sign_in(credentials())
    await here.use_cases.accounts.sign_in(credentials(address="elsewhere"))


async def test_a_refresh_token_works_once_and_its_second_use_ends_the_family() -> None:
    here = await registered()
    first = await here.use_cases.accounts.sign_in(credentials())
    second = await here.use_cases.accounts.refresh(first.refresh_token)
    third = await here.use_cases.accounts.refresh(second.refresh_token)
    assert (await here.use_cases.accounts.authenticate(third.access_token)).username == "alice"
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(first.refresh_token)
    for tokens in (first, second, third):
        with pytest.raises(Unauthenticated):
            await here.use_cases.accounts.authenticate(tokens.access_token)
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(third.refresh_token)


async def test_another_sign_in_survives_a_family_that_ended() -> None:
    here = await registered()
    stolen, other = [await here.use_cases.accounts.sign_in(credentials()) for _ in range(2)]
    await here.use_cases.accounts.refresh(stolen.refresh_token)
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(stolen.refresh_token)
    assert (await here.use_cases.accounts.authenticate(other.access_token)).username == "alice"


@pytest.mark.parametrize("token", ["", "unknown", "x" * 10_000, "\ud800"])
async def test_a_refresh_token_that_was_not_made_here_is_refused(token: str) -> None:
    here = await registered()
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(token)


async def test_signing_out_kills_both_tokens() -> None:
    here = await registered()
    signed_in = await here.use_cases.accounts.sign_in(credentials())
    await here.use_cases.accounts.sign_out(signed_in.principal)
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.authenticate(signed_in.access_token)
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(signed_in.refresh_token)


async def test_tokens_expire() -> None:
    here = await registered()
    signed_in = await here.use_cases.accounts.sign_in(credentials())
    here.clock.advance(3_600)
    with pytest.raises(TokenExpired):
        await here.use_cases.accounts.authenticate(signed_in.access_token)
    renewed = await here.use_cases.accounts.refresh(signed_in.refresh_token)
    here.clock.advance(86_400)
    with pytest.raises(TokenExpired):
        await here.use_cases.accounts.refresh(renewed.refresh_token)


async def test_an_access_token_never_outlives_its_session() -> None:
    here = await registered()
    signed_in = await here.use_cases.accounts.sign_in(credentials())
    here.clock.advance(86_400 - 60)
    assert (await here.use_cases.accounts.refresh(signed_in.refresh_token)).expires_in_s == 60


async def test_a_new_password_ends_every_other_session() -> None:
    here = await registered()
    mine, other = [await here.use_cases.accounts.sign_in(credentials()) for _ in range(2)]
    await here.use_cases.accounts.change_password(
        mine.principal, PasswordChange(current=PASSWORD, new="a new password")
    )
    assert (await here.use_cases.accounts.authenticate(mine.access_token)).username == "alice"
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.authenticate(other.access_token)
    with pytest.raises(InvalidCredentials):
        await here.use_cases.accounts.sign_in(credentials())
    await here.use_cases.accounts.sign_in(credentials(password="a new password"))


async def test_a_new_password_needs_the_current_one_and_obeys_the_rules() -> None:
    here = await registered()
    alice = (await here.use_cases.accounts.sign_in(credentials())).principal
    with pytest.raises(InvalidCredentials):
        await here.use_cases.accounts.change_password(alice, PasswordChange(current="wrong", new="a new password"))
    with pytest.raises(InvalidRequest) as refused:
        await here.use_cases.accounts.change_password(alice, PasswordChange(current=PASSWORD, new="short"))
    assert [error.field for error in refused.value.errors] == ["new_password"]


async def test_sessions_that_expired_a_day_ago_are_forgotten() -> None:
    here = await registered()
    await here.use_cases.accounts.sign_in(credentials())
    here.clock.advance(86_400)
    assert await here.use_cases.maintenance.forget_sessions() == 0
    here.clock.advance(86_401)
    assert await here.use_cases.maintenance.forget_sessions() == 1


async def test_one_sign_in_is_refreshed_a_limited_number_of_times_and_keeps_its_token() -> None:
    limit = Limit(name="refreshes of a session", times=2, window_s=60)
    here = await registered(rate_limits=MovingWindowRateLimits(), session_refreshes=limit)
    busy, other = [await here.use_cases.accounts.sign_in(credentials()) for _ in range(2)]
    token = busy.refresh_token
    for address in ("one", "two"):
        token = (await here.use_cases.accounts.refresh(token, address)).refresh_token
    with pytest.raises(RateLimited):
        await here.use_cases.accounts.refresh(token, "three")
    await here.use_cases.accounts.refresh(other.refresh_token, "three")
    # The refused token was not spent, so a later attempt is no second use.
    assert (await here.use_cases.accounts.authenticate(busy.access_token)).username == "alice"
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(busy.refresh_token, "thief")


async def test_one_address_tries_a_limited_number_of_refresh_tokens() -> None:
    limit = Limit(name="refreshes of an address", times=2, window_s=60)
    here = await registered(rate_limits=MovingWindowRateLimits(), address_refreshes=limit)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await here.use_cases.accounts.refresh("guess", "one")
    good = await here.use_cases.accounts.sign_in(credentials())
    with pytest.raises(RateLimited):
        await here.use_cases.accounts.refresh(good.refresh_token, "one")
    await here.use_cases.accounts.refresh(good.refresh_token, "two")


async def test_accounts_are_limited_by_address_by_network_and_in_all() -> None:
    def at_most(times: int, name: str) -> Limit:
        return Limit(name=name, times=times, window_s=3_600, reason="too_many_registrations")

    here = world(
        rate_limits=MovingWindowRateLimits(),
        registrations=at_most(2, "address"),
        network_registrations=at_most(3, "network"),
        all_registrations=at_most(6, "all"),
    )
    made = 0

    async def registers(address: str, *, role: UserRole = UserRole.USER) -> bool:
        nonlocal made
        made += 1
        wanted = Registration(
            username=f"person{made}", email=f"{made}@example.org", password=PASSWORD, address=address, role=role
        )
        try:
            await here.use_cases.accounts.register(wanted)
        except RateLimited:
            return False
        return True

    # An address, then two others of its network of 48 bits, then others.
    assert [await registers("2001:db8:1:1::/64") for _ in range(3)] == [True, True, False]
    assert [await registers(f"2001:db8:1:{part}::/64") for part in (2, 3)] == [True, False]
    assert [await registers(address) for address in ("192.0.2.1", "192.0.2.2", "local", "192.0.2.3")] == [
        True,
        True,
        True,
        False,
    ]
    assert await registers("192.0.2.4", role=UserRole.ADMIN)
