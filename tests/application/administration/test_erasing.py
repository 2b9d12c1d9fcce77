"""Erasing a person, on every store: texts and identity go, the figures stay and agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.register import Registration
from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.chat.messages import Message
from chatbill.application.chat.replay import Replay
from chatbill.application.chat.replies import Reply
from chatbill.application.ports.repositories.interactions import HistoryFilter
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.users import AccountState, UserRole
from chatbill.domain.chat.interactions import Interaction, Outcome
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.errors import ChatbillError, Conflict, Forbidden, InvalidCredentials
from chatbill.domain.shared.ids import ApiKeyId, InteractionId
from tests.kit.billing import assert_books_agree
from tests.kit.engines import ControlledEngine
from tests.kit.staff import id_of, member, trail
from tests.kit.stores import EVERY_STORE, STORES
from tests.kit.support import CATALOGUE, MINI, PASSWORD, World, world
from tests.kit.waiting import eventually

WHY = AdminAction(reason="She asked for it")
SECRET = "my secret plan"


@dataclass
class Office:
    world: World
    engine: ControlledEngine
    root: Principal
    alice: Principal

    async def erase(self, person: Principal | None = None) -> None:
        await self.world.use_cases.administration.erase_user(self.root, (person or self.alice).user_id, WHY)

    async def interaction(self, interaction_id: InteractionId) -> Interaction:
        found = await self.world.store.read(lambda snapshot: snapshot.interactions.get(interaction_id))
        assert found
        return found


@pytest_asyncio.fixture(params=EVERY_STORE)
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    store, engine = STORES[request.param](tmp_path), ControlledEngine(CATALOGUE)
    here = world(store=store, engine=engine)
    yield Office(here, engine, await member(here), await here.person())
    await store.close()


async def test_the_identity_goes_and_the_figures_stay(office: Office) -> None:
    here, alice = office.world, office.alice
    before = await here.store.read(lambda snapshot: snapshot.users.figures([alice.user_id]))
    key = await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))
    for _ in range(2):
        await office.erase()
    user = (await here.use_cases.administration.show_user(office.root, alice.user_id)).user
    assert (user.state, user.role, user.known_hash, user.password_link) == (
        AccountState.ERASED,
        UserRole.USER,
        None,
        None,
    )
    assert "alice" not in f"{user.username} {user.email}"
    after = await here.store.read(lambda snapshot: snapshot.users.figures([alice.user_id]))
    assert after[alice.user_id].balance == before[alice.user_id].balance == 100
    assert after[alice.user_id].last_seen_at is None
    for refused in (
        here.use_cases.accounts.authenticate_key(key.text),
        here.use_cases.accounts.sign_in(Credentials(login=user.username, password=PASSWORD)),
        here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD)),
    ):
        with pytest.raises(ChatbillError):
            await refused
    (record,) = await trail(here, AuditAction.USER_ERASED)
    assert dict(record.after) == {"sessions_ended": 1, "keys_revoked": 1}
    assert (await here.person()).user_id != alice.user_id
    await assert_books_agree(here)


async def test_texts_go_also_those_of_a_reply_that_is_being_written(office: Office) -> None:
    here, chat = office.world, office.world.use_cases.chat
    bob = await here.person("bob")
    done = await chat.send_message(office.alice, Message(model=MINI, text=SECRET))
    chat.replies.stop(done.accepted.interaction_id)
    await done.finished()
    other = await chat.send_message(bob, Message(model=MINI, text="of Bob"))
    running = await chat.send_message(office.alice, Message(model=MINI, text=SECRET))
    office.engine.last.say("I will keep it")
    stream = aiter(running)
    async with asyncio.timeout(10):
        await anext(stream)
        await anext(stream)
    await office.erase()
    assert await chat.apply_stop_requests() == 1
    async with asyncio.timeout(10):
        await running.finished()
    await eventually(lambda: running.accepted.interaction_id not in chat.replies.running_ids())
    for reply in (done, running):
        stored = await office.interaction(reply.accepted.interaction_id)
        assert (stored.prompt, stored.reply) == ("", "")
        assert stored.outcome is not Outcome.RUNNING
    assert (await office.interaction(other.accepted.interaction_id)).prompt == "of Bob"
    listed = await here.store.read(
        lambda snapshot: (
            snapshot.conversations.of_user(office.alice.user_id, after=None, limit=9),
            snapshot.interactions.history(office.alice.user_id, HistoryFilter(), after=None, limit=9),
        )
    )
    assert listed == ([], [])
    chat.replies.stop(other.accepted.interaction_id)
    async with asyncio.timeout(10):
        await other.finished()
    await assert_books_agree(here)


async def test_a_message_that_was_authenticated_before_is_not_accepted_after(office: Office) -> None:
    await office.erase()
    with pytest.raises(Forbidden):
        await office.world.use_cases.chat.send_message(office.alice, Message(model=MINI, text=SECRET))


async def test_an_administrator_erases_others_and_not_the_last_one(office: Office) -> None:
    here = office.world
    with pytest.raises(Forbidden):
        await office.erase(office.root)
    with pytest.raises(Forbidden):
        await here.use_cases.administration.erase_user(office.alice, office.root.user_id, WHY)
    ann = await member(here, name="ann")
    results = await asyncio.gather(
        here.use_cases.administration.erase_user(office.root, ann.user_id, WHY),
        here.use_cases.administration.erase_user(ann, office.root.user_id, WHY),
        return_exceptions=True,
    )
    (refused,) = [result for result in results if isinstance(result, ChatbillError)]
    assert isinstance(refused, Conflict)


async def test_names_that_people_foresee_do_not_prevent_it(office: Office) -> None:
    """A person could register the names that an erased account gets, so that it cannot get them."""
    names = (f"erased:{office.alice.user_id}", f"erased-{office.alice.user_id}"[:32])
    for number, name in enumerate(names):
        register = office.world.use_cases.accounts.register(
            Registration(username=name, email=f"{number}@erased.invalid", password=PASSWORD)
        )
        try:
            await register
        except ChatbillError:
            assert ":" in name
    await office.erase()
    with pytest.raises(InvalidCredentials):
        await office.world.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    assert await id_of(office.world, "root")


async def test_a_person_erases_their_own_account_with_the_password(office: Office) -> None:
    here, alice = office.world, office.alice
    await here.use_cases.chat.send_message(alice, Message(model=MINI, text=SECRET))
    erase = here.use_cases.administration.erase_own_account
    with pytest.raises(InvalidCredentials):
        await erase(alice, "wrong password")
    await erase(alice, PASSWORD)

    user = (await here.use_cases.administration.show_user(office.root, alice.user_id)).user
    assert user.state is AccountState.ERASED
    history = await here.store.read(
        lambda snapshot: snapshot.interactions.history(alice.user_id, HistoryFilter(), after=None, limit=9)
    )
    assert SECRET not in str(history)
    with pytest.raises(InvalidCredentials):
        await here.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    with pytest.raises(Conflict):
        await erase(office.root, PASSWORD)
    with pytest.raises(Forbidden):
        await erase(replace(office.root, api_key_id=ApiKeyId("key")), PASSWORD)


async def test_no_message_that_is_sent_at_the_same_time_leaves_a_text(office: Office) -> None:
    """Each is accepted before and erased, or refused after; none is accepted by what was true before."""
    here, chat = office.world, office.world.use_cases.chat

    async def send(person: Principal) -> Reply | Replay | Exception:
        try:
            return await chat.send_message(person, Message(model=MINI, text=SECRET))
        except ChatbillError as error:
            return error

    people = [await here.person(f"person-{number}") for number in range(8)]
    sent, _ = await asyncio.gather(
        asyncio.gather(*(send(person) for person in people for _ in range(3))),
        asyncio.gather(*(office.erase(person) for person in people)),
    )
    replies = [result for result in sent if isinstance(result, Reply)]
    await chat.apply_stop_requests()
    async with asyncio.timeout(20):
        await asyncio.gather(*(reply.finished() for reply in replies))
    for reply in replies:
        assert (await office.interaction(reply.accepted.interaction_id)).prompt == ""
    await assert_books_agree(here)
