"""API keys: who gets in with one, and what it may spend, on every store and however requests end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatbill.adapters.memory import MemoryStore
from chatbill.application.accounts.change_password import PasswordChange
from chatbill.application.accounts.create_api_key import IssuedKey, NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.billing.place_order import Order
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.store import Transaction
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.api_keys import MAX_KEYS, KeyNameTaken, TooManyKeys
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.audit.proof import Difference
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Catalogue, Model, Tier
from chatbill.domain.shared.errors import (
    CapReached,
    Forbidden,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from chatbill.domain.shared.ids import ApiKeyId, ModelId
from chatbill.testing import ManualClock
from tests.kit.engines import ControlledEngine
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import CATALOGUE, PASSWORD, World, world

BY_TOKEN = Model(
    id=ModelId("by-token"),
    name="By token",
    tier=Tier.PRO,
    price=Price(per_reply=1, per_1k_completion_tokens=500),
    context_tokens=2_048,
    max_reply_tokens=20,
)
"""Holds 11 credits, and costs 1 and another for every two tokens."""
MODELS = Catalogue((*CATALOGUE.values(), BY_TOKEN))


def by_token(text: str = "one two three four", **fields: Any) -> Message:
    return Message(model=BY_TOKEN.id, text=text, **fields)


async def key_for(scene: World, alice: Principal, **terms: Any) -> tuple[IssuedKey, Principal]:
    """A new key of Alice's, and a program that came with it."""
    issued = await scene.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI", **terms))
    return issued, await scene.use_cases.accounts.authenticate_key(issued.text)


async def used(scene: World, alice: Principal) -> int:
    """Credits that Alice's first key used this month."""
    return (await scene.use_cases.accounts.list_api_keys(alice))[0].used_this_month


async def verified(scene: World) -> None:
    """The books agree, the use of keys with them."""
    found: list[Difference] = []
    await scene.use_cases.audit.verify_ledger(found.append)
    assert found == []


class TestKeys:
    async def test_a_key_opens_what_its_owner_has_without_their_rights(self) -> None:
        scene = world()
        await scene.use_cases.accounts.register(
            Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
        )
        root = (await scene.use_cases.accounts.sign_in(Credentials(login="root", password=PASSWORD))).principal
        issued, program = await key_for(scene, root)
        without_session = replace(root, session_id=None, signed_in_at=None)
        key = issued.key
        assert program == replace(without_session, role=UserRole.USER, api_key_id=key.id, scopes=key.scopes)
        with pytest.raises(Forbidden):
            await scene.use_cases.administration.adjust_credits(program, root.user_id, 5, AdminAction(reason="why not"))

    async def test_only_a_digest_of_the_secret_is_kept_and_nothing_shows_it(self) -> None:
        scene = world()
        issued, _ = await key_for(scene, await scene.person())
        secret = issued.text.removeprefix(f"cb_{issued.key.id}_")
        assert issued.text == f"cb_{issued.key.id}_{secret}"
        assert len(secret) >= 43
        assert secret not in repr(issued)
        kept = await scene.store.read(lambda snapshot: snapshot.api_keys.get(issued.key.id))
        assert secret not in repr(kept)

    @pytest.mark.parametrize(
        "wrong",
        ["cb_", "cb_x", "cb_x_y", "cb__", "cb_\x00_y", "cb_ü_y", f"cb_{'x' * 65}_y", f"cb_x_{'y' * 999}", "sk-1", ""],
    )
    async def test_what_is_no_key_opens_nothing(self, wrong: str) -> None:
        scene = world()
        await key_for(scene, await scene.person())
        with pytest.raises(Unauthenticated):
            await scene.use_cases.accounts.authenticate_key(wrong)

    async def test_the_secret_of_one_key_does_not_open_another(self) -> None:
        scene = world()
        issued, _ = await key_for(scene, await scene.person())
        bobs, _ = await key_for(scene, await scene.person("bob"))
        mixed = issued.text.replace(issued.key.id, bobs.key.id)
        for wrong in (mixed, issued.text[:-1], issued.text + "x", issued.text.swapcase()):
            with pytest.raises(Unauthenticated):
                await scene.use_cases.accounts.authenticate_key(wrong)

    async def test_a_revoked_key_is_dead_at_once_and_revoking_again_is_harmless(self) -> None:
        scene = world()
        alice = await scene.person()
        issued, program = await key_for(scene, alice)
        await scene.use_cases.accounts.revoke_api_key(alice, issued.key.id)
        scene.clock.advance(5)
        await scene.use_cases.accounts.revoke_api_key(alice, issued.key.id)
        with pytest.raises(Unauthenticated):
            await scene.use_cases.accounts.authenticate_key(issued.text)
        # A request that was let in a moment before is turned away before anything is held.
        with pytest.raises(Unauthenticated):
            await scene.use_cases.chat.send_message(program, Message(model="demo-mini", text="Hello"))
        assert (await scene.use_cases.billing.read_balance(alice)).held == 0
        assert await scene.use_cases.accounts.list_api_keys(alice) == []

    async def test_a_key_expires_when_it_was_told_to(self) -> None:
        scene = world()
        alice = await scene.person()
        ends = scene.clock.now + timedelta(seconds=10)
        issued, _ = await key_for(scene, alice, expires_at=ends)
        scene.clock.advance(9.999)
        await scene.use_cases.accounts.authenticate_key(issued.text)
        scene.clock.advance(0.001)
        with pytest.raises(Unauthenticated):
            await scene.use_cases.accounts.authenticate_key(issued.text)
        (state,) = await scene.use_cases.accounts.list_api_keys(alice)
        assert not state.is_live

    async def test_keys_of_a_disabled_account_are_dead_until_it_is_enabled(self) -> None:
        scene = world()
        alice = await scene.person()
        issued, program = await key_for(scene, alice)

        def disabled(tx: Transaction, *, at: datetime | None) -> None:
            user = tx.users.lock(alice.user_id)
            assert user
            user.disabled_at = at
            tx.users.save(user)

        await scene.store.write(lambda tx: disabled(tx, at=scene.clock.now))
        with pytest.raises(Unauthenticated):
            await scene.use_cases.accounts.authenticate_key(issued.text)
        await scene.store.write(lambda tx: disabled(tx, at=None))
        assert await scene.use_cases.accounts.authenticate_key(issued.text) == program

    async def test_keys_outlive_a_change_of_the_password(self) -> None:
        scene = world()
        alice = await scene.person()
        issued, program = await key_for(scene, alice)
        await scene.use_cases.accounts.change_password(
            alice, PasswordChange(current=PASSWORD, new="another one entirely")
        )
        assert await scene.use_cases.accounts.authenticate_key(issued.text) == program

    async def test_a_key_changes_no_account_makes_no_keys_and_buys_nothing(self) -> None:
        scene = world()
        issued, program = await key_for(scene, await scene.person())
        cases = scene.use_cases
        for forbidden in (
            cases.accounts.create_api_key(program, NewApiKey(name="more")),
            cases.accounts.list_api_keys(program),
            cases.accounts.revoke_api_key(program, issued.key.id),
            cases.accounts.change_password(program, PasswordChange(current=PASSWORD, new="another one entirely")),
            cases.accounts.sign_out(program),
            cases.billing.place_order(program, Order(amount=5)),
        ):
            with pytest.raises(Forbidden):
                await forbidden
        await scene.use_cases.accounts.authenticate_key(issued.text)

    async def test_names_are_ones_own_and_free_again_after_revoking(self) -> None:
        scene = world()
        alice, bob = await scene.person(), await scene.person("bob")
        issued, _ = await key_for(scene, alice)
        await key_for(scene, bob)
        with pytest.raises(KeyNameTaken):
            await scene.use_cases.accounts.create_api_key(alice, NewApiKey(name=" ci "))
        await scene.use_cases.accounts.revoke_api_key(alice, issued.key.id)
        await key_for(scene, alice)

    async def test_two_at_once_with_one_name_make_one_key(self) -> None:
        scene = world()
        alice = await scene.person()
        orders = (scene.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI")) for _ in range(8))
        outcomes = await asyncio.gather(*orders, return_exceptions=True)
        assert sum(isinstance(outcome, IssuedKey) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, KeyNameTaken) for outcome in outcomes) == 7

    async def test_nobody_has_more_than_so_many_keys_however_many_are_asked_for_at_once(self) -> None:
        scene = world()
        alice = await scene.person()
        orders = (scene.use_cases.accounts.create_api_key(alice, NewApiKey(name=str(n))) for n in range(MAX_KEYS + 5))
        outcomes = await asyncio.gather(*orders, return_exceptions=True)
        assert sum(isinstance(outcome, TooManyKeys) for outcome in outcomes) == 5
        assert len(await scene.use_cases.accounts.list_api_keys(alice)) == MAX_KEYS

    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            ({"name": "  "}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"name": "a\x00b"}, "name"),
            ({"monthly_cap": 0}, "monthly_cap"),
            ({"monthly_cap": -5}, "monthly_cap"),
            ({"monthly_cap": 10**16}, "monthly_cap"),
            ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ],
    )
    async def test_terms_that_make_no_sense_are_refused_by_name(self, terms: dict[str, Any], field: str) -> None:
        scene = world()
        alice = await scene.person()
        with pytest.raises(InvalidRequest) as refused:
            await scene.use_cases.accounts.create_api_key(alice, NewApiKey(**{"name": "CI"} | terms))
        assert [fault.field for fault in refused.value.errors] == [field]

    async def test_what_belongs_to_somebody_else_is_not_found(self) -> None:
        scene = world()
        issued, _ = await key_for(scene, await scene.person())
        bob = await scene.person("bob")
        for key_id in (issued.key.id, ApiKeyId("none")):
            with pytest.raises(NotFound):
                await scene.use_cases.accounts.revoke_api_key(bob, key_id)
        await scene.use_cases.accounts.authenticate_key(issued.text)

    async def test_use_is_noted_at_most_once_a_minute(self) -> None:
        store = CountingStore()
        scene = world(store=store)
        alice = await scene.person()
        issued, _ = await key_for(scene, alice)
        first, writes = scene.clock.now, store.writes
        for _ in range(3):
            scene.clock.advance(19)
            await scene.use_cases.accounts.authenticate_key(issued.text)
        assert store.writes == writes
        assert (await scene.use_cases.accounts.list_api_keys(alice))[0].key.last_used_at == first
        scene.clock.advance(3)
        await scene.use_cases.accounts.authenticate_key(issued.text)
        assert store.writes == writes + 1
        assert (await scene.use_cases.accounts.list_api_keys(alice))[0].key.last_used_at == scene.clock.now


class CountingStore(MemoryStore):
    """Counts its writes."""

    writes = 0

    async def write(self, work: Any) -> Any:
        self.writes += 1
        return await super().write(work)


@pytest_asyncio.fixture(params=EVERY_STORE)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Every use case on each of the stores, with an engine that answers at once."""
    store = STORES[request.param](tmp_path)
    yield world(store=store, catalogue=MODELS, clock=ManualClock(datetime(2026, 1, 31, 23, 59, 50, tzinfo=UTC)))
    await store.close()


class TestCaps:
    async def test_of_64_requests_at_once_exactly_those_within_the_cap_are_taken(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=10)
        asked = (
            scene.use_cases.chat.send_message(program, Message(model="demo-mini", text="Hello")) for _ in range(64)
        )
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
        for reply in replies:
            await reply.finished()
        refused = [outcome for outcome in outcomes if isinstance(outcome, CapReached)]
        assert (len(replies), len(refused)) == (10, 54)
        assert {(error.required, error.available, error.cap) for error in refused} == {(1, 0, 10)}
        balance = await scene.use_cases.billing.read_balance(alice)
        assert (balance.posted, balance.held) == (90, 0)
        assert await used(scene, alice) == 10
        await verified(scene)

    async def test_what_a_hold_was_too_high_is_given_back(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=13)
        reply = await scene.use_cases.chat.send_message(program, by_token())
        assert await used(scene, alice) in {3, 11}
        await reply.finished()
        assert await used(scene, alice) == 3
        with pytest.raises(CapReached) as refused:
            await scene.use_cases.chat.send_message(program, by_token())
        assert (refused.value.required, refused.value.available) == (11, 10)
        await verified(scene)

    async def test_a_request_counts_for_the_month_in_which_it_was_accepted(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=11)
        january = await scene.use_cases.chat.send_message(program, by_token())
        scene.clock.advance(10)
        await january.finished()
        assert await used(scene, alice) == 0
        february = await scene.use_cases.chat.send_message(program, by_token("one two"))
        await february.finished()
        assert await used(scene, alice) == 2
        scene.clock.advance(-1)
        assert await used(scene, alice) == 3
        await verified(scene)

    async def test_a_refusal_by_the_cap_is_remembered_with_its_figures(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=5)
        message = by_token(idempotency_key="k")
        for who in (program, program, alice):
            with pytest.raises(CapReached) as refused:
                await scene.use_cases.chat.send_message(who, message)
            assert (refused.value.required, refused.value.available, refused.value.cap) == (11, 5, 5)
        assert await used(scene, alice) == 0

    async def test_an_empty_wallet_refuses_before_a_key_is_charged(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice)
        for _ in range(33):
            await (await scene.use_cases.chat.send_message(alice, Message(model="demo-pro", text="x"))).finished()
        with pytest.raises(InsufficientCredits) as refused:
            await scene.use_cases.chat.send_message(program, by_token())
        assert not isinstance(refused.value, CapReached)
        assert await used(scene, alice) == 0

    async def test_a_repeated_request_counts_once(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=50)
        first = await scene.use_cases.chat.send_message(program, by_token(idempotency_key="k"))
        await first.finished()
        again = await scene.use_cases.chat.send_message(program, by_token(idempotency_key="k"))
        assert isinstance(again, Replay)
        assert await used(scene, alice) == 3
        await verified(scene)

    async def test_of_two_at_once_with_one_key_one_counts(self, scene: World) -> None:
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=50)
        asked = (scene.use_cases.chat.send_message(program, by_token(idempotency_key="k")) for _ in range(8))
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, Reply):
                await outcome.finished()
        assert await used(scene, alice) == 3
        await verified(scene)


class TestEndings:
    @pytest.mark.parametrize("how", ["failed", "stopped before", "stopped after", "swept"])
    async def test_what_is_not_charged_is_given_back_to_the_key(self, how: str) -> None:
        engine = ControlledEngine(MODELS)
        scene = world(engine=engine, catalogue=MODELS)
        alice = await scene.person()
        _, program = await key_for(scene, alice, monthly_cap=11)
        reply = await scene.use_cases.chat.send_message(program, by_token())
        assert isinstance(reply, Reply)
        assert await used(scene, alice) == 11
        charged = await end(how, scene, engine, reply)
        assert await used(scene, alice) == charged
        await verified(scene)
        if isinstance(reply, Reply):
            await reply.abandon()
        assert await used(scene, alice) == charged


async def end(how: str, scene: World, engine: ControlledEngine, reply: Reply) -> int:
    """Let a reply end so; return what is due."""
    (generation,) = engine.generations
    match how:
        case "failed":
            generation.fail(RuntimeError("broken"))
            await reply.finished()
            return 0
        case "stopped before":
            reply.stop()
            await reply.finished()
            return 0
        case "stopped after":
            generation.say("one")
            events = aiter(reply)
            await anext(events)
            await anext(events)
            reply.stop()
            await reply.finished()
            return 2
        case _:
            scene.clock.advance(60)
            assert await scene.use_cases.maintenance.expire_holds() == 1
            return 0
