"""API keys and their months, on every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.application.ports.store import Store, Transaction
from chatbill.domain.accounts.api_keys import ApiKey, KeyMonth, month_start
from chatbill.domain.accounts.scopes import Scope
from chatbill.domain.shared.errors import InvariantViolation
from chatbill.domain.shared.ids import ApiKeyId, UserId
from tests.kit.rows import ALICE, BOB, NOON, add_person, add_running, api_key, charge, interaction, later
from tests.kit.stores import EVERY_STORE, STORES

CI = ApiKeyId("ci")
JANUARY = month_start(NOON)


def january(used: int) -> KeyMonth:
    return replace(api_key().month_of(NOON), used=used)


async def month(store: Store, starts_at: datetime = JANUARY) -> KeyMonth | None:
    return await store.read(lambda snapshot: snapshot.api_keys.month(CI, starts_at))


@pytest_asyncio.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store in which Alice and Bob have a wallet, and Alice a key."""
    opened = STORES[request.param](tmp_path)
    await opened.write(add_person)
    await opened.write(lambda tx: add_person(tx, "bob"))
    await opened.write(lambda tx: tx.api_keys.add(api_key()))
    yield opened
    await opened.close()


async def test_a_key_comes_back_as_it_went_in(store: Store) -> None:
    other = api_key("other", monthly_cap=None, expires_at=later(9), last_used_at=later(1), scopes=frozenset(Scope))
    await store.write(lambda tx: tx.api_keys.add(other))
    assert await store.read(lambda snapshot: [snapshot.api_keys.get(each.id) for each in (api_key(), other)]) == [
        api_key(),
        other,
    ]
    assert await store.write(lambda tx: tx.api_keys.lock(other.id)) == other


@pytest.mark.parametrize("unknown", ["", "none", "\ud800", "\x00", "c" * 10_000])
async def test_a_key_that_does_not_exist_is_none(store: Store, unknown: str) -> None:
    if unknown != "\x00":  # no id that is looked up holds NUL: see `key_parts`
        assert await store.read(lambda snapshot: snapshot.api_keys.get(ApiKeyId(unknown))) is None
    assert await store.write(lambda tx: tx.api_keys.lock(ApiKeyId("none"))) is None
    assert await month(store) is None


async def test_keys_of_a_person_are_listed_until_they_are_revoked(store: Store) -> None:
    gone = api_key("gone", revoked_at=later(1))
    for row in (api_key("b"), gone, api_key("a"), api_key("bobs", user_id=BOB)):
        await store.write(lambda tx, row=row: tx.api_keys.add(row))  # type: ignore[misc]
    assert await store.read(lambda snapshot: snapshot.api_keys.of_user(ALICE)) == [
        api_key("a"),
        api_key("b"),
        api_key(),
    ]
    assert await store.read(lambda snapshot: snapshot.api_keys.of_user(UserId("nobody"))) == []
    assert await store.read(lambda snapshot: snapshot.api_keys.ever_of_user(ALICE)) == [
        api_key("a"),
        api_key("b"),
        api_key(),
        gone,
    ]
    assert await store.read(lambda snapshot: snapshot.api_keys.ever_of_user(UserId("nobody"))) == []


async def test_use_and_revocation_are_saved_and_nothing_else(store: Store) -> None:
    used = api_key(last_used_at=later(5), revoked_at=later(6), revoked_by=BOB, revoked_why="It leaked")

    def work(tx: Transaction) -> ApiKey | None:
        tx.api_keys.save(replace(used, name="Another", monthly_cap=None))
        return tx.api_keys.get(CI)

    assert await store.write(work) == used
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.api_keys.save(api_key("none")))


async def test_a_revoked_key_stays_revoked(store: Store) -> None:
    revoked = api_key(revoked_at=later(6), revoked_by=ALICE)
    await store.write(lambda tx: tx.api_keys.save(revoked))
    for change in ({"revoked_at": None, "revoked_by": None}, {"revoked_at": later(7)}, {"revoked_by": BOB}):
        with pytest.raises(InvariantViolation):
            await store.write(lambda tx, change=change: tx.api_keys.save(replace(revoked, **change)))  # type: ignore[misc]


@pytest.mark.parametrize("nonsense", [{"revoked_by": ALICE}, {"revoked_at": later(1), "revoked_why": "It leaked"}])
async def test_nobody_revokes_without_doing_so_or_without_a_name(store: Store, nonsense: dict[str, Any]) -> None:
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.api_keys.save(api_key(**nonsense)))


async def test_names_are_unique_for_a_person_until_the_key_is_revoked(store: Store) -> None:
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.api_keys.add(api_key("x", name="ci")))
    with pytest.raises(InvariantViolation):
        await store.write(lambda tx: tx.api_keys.add(api_key()))
    await store.write(lambda tx: tx.api_keys.add(api_key("x", name="CI", user_id=BOB)))
    await store.write(lambda tx: tx.api_keys.save(api_key(revoked_at=later(1))))
    await store.write(lambda tx: tx.api_keys.add(api_key("y", name="CI")))


async def test_a_month_is_counted_up_and_given_back(store: Store) -> None:
    def count(tx: Transaction) -> None:
        tx.api_keys.save_month(january(used=4))
        tx.api_keys.save_month(january(used=7))
        tx.api_keys.give_back(CI, JANUARY, 5)

    await store.write(count)
    assert await month(store) == january(used=2)
    february = api_key().month_of(january(0).ends_at)
    await store.write(lambda tx: tx.api_keys.save_month(replace(february, used=1)))
    assert await month(store) == january(used=2)
    assert await month(store, february.starts_at) == replace(february, used=1)


async def test_no_month_goes_over_its_cap_or_under_nothing(store: Store) -> None:
    await store.write(lambda tx: tx.api_keys.save_month(january(used=10)))
    for wrong in (
        lambda tx: tx.api_keys.save_month(january(used=11)),
        lambda tx: tx.api_keys.give_back(CI, JANUARY, 11),
        lambda tx: tx.api_keys.give_back(CI, later(1), 1),
        lambda tx: tx.api_keys.save_month(api_key("none").month_of(NOON)),
    ):
        with pytest.raises(InvariantViolation):
            await store.write(wrong)
    assert await month(store) == january(used=10)


async def test_an_interaction_keeps_its_key(store: Store) -> None:
    await store.write(lambda tx: add_running(tx, api_key_id=CI))
    assert await store.read(lambda snapshot: snapshot.interactions.get(interaction().id)) == interaction(api_key_id=CI)
    await store.write(charge)
    ended = await store.read(lambda snapshot: snapshot.interactions.get(interaction().id))
    assert ended
    assert ended.api_key_id == CI
