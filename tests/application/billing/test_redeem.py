"""Codes that redeem credits, on every store: once a person, and for no more people than they are for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import IssuedCode, NewCode
from chatbill.application.administration.update_user import UserChange
from chatbill.application.billing.redeem import Redemption
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.billing.ledger import EntryKind
from chatbill.domain.billing.subjects import CODE, Subject
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import ChatbillError, Conflict, Forbidden, NotFound, RateLimited
from tests.kit.billing import assert_books_agree
from tests.kit.staff import member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import World, world


@pytest_asyncio.fixture(params=EVERY_STORE)
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    store = STORES[request.param](tmp_path)
    yield world(store=store)
    await store.close()


async def made(here: World, uses: int = 1, days: int | None = None) -> IssuedCode:
    root = await member(here)
    end = None if days is None else here.clock() + timedelta(days=days)
    return await here.use_cases.administration.create_code(root, NewCode(credits=50, uses=uses, expires_at=end))


async def outcomes(here: World, issued: IssuedCode, *people: Principal) -> list[str]:
    """Return what each attempt ended with, made at the same time."""
    attempts = (here.use_cases.billing.redeem(person, Redemption(code=issued.text)) for person in people)
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, Conflict)]
    return sorted(result.description.code if isinstance(result, ChatbillError) else "redeemed" for result in results)


async def test_the_entry_is_a_grant_for_the_code_and_both_are_recorded(here: World) -> None:
    issued, alice = await made(here), await here.person()
    entry = await here.use_cases.billing.redeem(alice, Redemption(code=issued.text))
    assert (entry.kind, entry.amount, entry.balance_after) == (EntryKind.GRANT, 50, 150)
    assert (entry.cause.description.code, entry.cause.subject) == ("code_redeemed", Subject(CODE, issued.code.id))
    created, redeemed = await trail(here, AuditAction.CODE_MADE, AuditAction.CODE_REDEEMED)
    assert dict(created.after) == {"credits": 50, "uses": 1, "expires_at": None}
    assert (redeemed.actor, redeemed.subject_id) == (alice.user_id, issued.code.id)
    assert issued.text not in str([created, redeemed])
    await assert_books_agree(here)


async def test_one_person_twice_at_once_redeems_once(here: World) -> None:
    issued, alice = await made(here, uses=9), await here.person()
    assert await outcomes(here, issued, *[alice] * 6) == ["code_redeemed_before"] * 5 + ["redeemed"]
    await assert_books_agree(here)


async def test_the_last_use_is_for_one_person(here: World) -> None:
    issued = await made(here, uses=2)
    people = [await here.person(f"person-{number}") for number in range(5)]
    assert await outcomes(here, issued, *people) == ["code_used_up"] * 3 + ["redeemed"] * 2
    used = await here.store.read(lambda snapshot: snapshot.codes.used([issued.code.id]))
    assert used == {issued.code.id: 2}
    await assert_books_agree(here)


async def test_a_code_ends_with_its_last_moment(here: World) -> None:
    issued = await made(here, uses=2, days=1)
    alice, bob = await here.person(), await here.person("bob")
    here.clock.advance(86_399)
    assert await outcomes(here, issued, alice) == ["redeemed"]
    here.clock.advance(1)
    assert await outcomes(here, issued, bob) == ["code_expired"]


async def test_a_suspended_person_redeems_nothing(here: World) -> None:
    issued, alice, root = await made(here), await here.person(), await member(here, name="olga")
    suspended = UserChange(state=AccountState.SUSPENDED)
    await here.use_cases.administration.update_user(root, alice.user_id, suspended, AdminAction(reason="Spam"))
    with pytest.raises(Forbidden):
        await here.use_cases.billing.redeem(alice, Redemption(code=issued.text))
    await assert_books_agree(here)


async def test_only_people_who_may_adjust_credits_make_codes() -> None:
    here = world()
    for role in set(UserRole) - {UserRole.ADMIN}:
        person = await member(here, role, f"the.{role}")
        with pytest.raises(Forbidden):
            await here.use_cases.administration.create_code(person, NewCode(credits=50))


async def test_guesses_are_limited_by_person_by_address_and_in_all() -> None:
    here = world(rate_limits=MovingWindowRateLimits())
    issued, people = await made(here, uses=9), [await here.person(f"person-{number}") for number in range(4)]
    for person in people[:3]:
        for _ in range(20):
            with pytest.raises(NotFound):
                await here.use_cases.billing.redeem(person, Redemption(code="0" * 25, address="192.0.2.7"))
    for person, address in ((people[0], "192.0.2.8"), (people[3], "192.0.2.7")):
        with pytest.raises(RateLimited):
            await here.use_cases.billing.redeem(person, Redemption(code=issued.text, address=address))
    entry = await here.use_cases.billing.redeem(people[3], Redemption(code=issued.text, address="192.0.2.8"))
    assert entry.amount == 50
