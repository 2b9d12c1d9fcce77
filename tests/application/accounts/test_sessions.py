"""Sessions: where they are accepted, when they end by themselves, and how they are listed and ended."""

from __future__ import annotations

import pytest

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.application.accounts.sign_in import Credentials, SignedIn
from chatbill.application.ports.store import StoreUnavailable
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.sessions import MAX_SESSIONS, Session
from chatbill.domain.shared.errors import Forbidden, NotFound, Unauthenticated
from chatbill.domain.shared.ids import SessionId
from tests.kit.support import PASSWORD, World, world

IDLE_S = 600


async def signed_in(here: World, name: str = "alice", **facts: str) -> SignedIn:
    return await here.use_cases.accounts.sign_in(Credentials(login=name, password=PASSWORD, **facts))


async def session_of(here: World, principal: Principal) -> Session:
    session = await here.store.read(lambda snapshot: snapshot.sessions.get(principal.session_id or SessionId("")))
    assert session
    return session


async def test_a_token_of_the_page_is_not_accepted_by_the_api_nor_the_other_way_round() -> None:
    here = world()
    await here.person()
    accounts, credentials = here.use_cases.accounts, Credentials(login="alice", password=PASSWORD)
    of_api, of_page = await accounts.sign_in(credentials), await accounts.web_sign_in(credentials)
    assert (await accounts.authenticate(of_api.access_token)).username == "alice"
    assert (await accounts.web_authenticate(of_page.access_token)).username == "alice"
    for authenticate, token in ((accounts.authenticate, of_page), (accounts.web_authenticate, of_api)):
        with pytest.raises(Unauthenticated):
            await authenticate(token.access_token)


async def test_a_session_ends_when_it_is_idle_and_lasts_while_it_is_used() -> None:
    here = world(session_idle_s=IDLE_S)
    await here.person()
    tokens = await signed_in(here)
    for _ in range(3):
        here.clock.advance(IDLE_S - 1)
        await here.use_cases.accounts.authenticate(tokens.access_token)
    here.clock.advance(IDLE_S)
    with pytest.raises(Unauthenticated, match="session_ended"):
        await here.use_cases.accounts.authenticate(tokens.access_token)
    with pytest.raises(Unauthenticated, match="session_expired"):
        await here.use_cases.accounts.refresh(tokens.refresh_token)


async def test_a_refresh_counts_as_use() -> None:
    here = world(session_idle_s=IDLE_S)
    await here.person()
    tokens = await signed_in(here)
    for _ in range(3):
        here.clock.advance(IDLE_S - 1)
        tokens = await here.use_cases.accounts.refresh(tokens.refresh_token)
    await here.use_cases.accounts.authenticate(tokens.access_token)


async def test_use_is_noted_once_a_minute_at_most() -> None:
    here = world()
    await here.person()
    tokens = await signed_in(here)
    began = here.clock()
    here.clock.advance(59)
    await here.use_cases.accounts.authenticate(tokens.access_token)
    assert (await session_of(here, tokens.principal)).last_seen_at == began
    here.clock.advance(1)
    await here.use_cases.accounts.authenticate(tokens.access_token)
    assert (await session_of(here, tokens.principal)).last_seen_at == here.clock()


async def test_a_request_is_answered_when_its_use_cannot_be_noted(caplog: pytest.LogCaptureFixture) -> None:
    here = world()
    await here.person()
    tokens = await signed_in(here)
    here.clock.advance(60)

    class ReadsOnly:
        read = here.store.read

        async def write(self, _work: object) -> None:
            raise StoreUnavailable("the disk is full")

    authenticate = here.use_cases.accounts.authenticate
    reads_only = type(authenticate)(
        store=ReadsOnly(),  # type: ignore[arg-type]
        tokens=authenticate.tokens,
        clock=here.clock,
        idle_s=IDLE_S,
    )
    assert (await reads_only(tokens.access_token)).username == "alice"
    assert "session_use_not_noted" in caplog.text


async def test_sessions_are_listed_with_where_they_came_from_the_last_used_first() -> None:
    here = world()
    alice, bob = await here.person(), await here.person("bob")
    here.clock.advance(1)
    laptop = await signed_in(here, address="192.0.2.7", client="curl/8.5")
    listed = await here.use_cases.accounts.list_sessions(alice)
    assert [each.id for each in listed] == [laptop.principal.session_id, alice.session_id]
    assert (listed[0].address, listed[0].client) == ("192.0.2.7", "curl/8.5")
    assert [each.id for each in await here.use_cases.accounts.list_sessions(bob)] == [bob.session_id]


async def test_what_a_client_says_of_itself_is_bounded_and_printable() -> None:
    here = world()
    await here.person()
    tokens = await signed_in(here, address="x" * 9_999, client="evil\x00\n\ud800\u202e" + "agent" * 999)
    session = await session_of(here, tokens.principal)
    assert len(session.address or "") == 64
    assert (session.client or "").startswith("evilagentagent")
    assert len(session.client or "") == 200


async def test_an_ended_session_is_not_listed_and_not_accepted() -> None:
    here = world()
    alice = await here.person()
    laptop = await signed_in(here)
    assert laptop.principal.session_id
    for _ in range(2):
        await here.use_cases.accounts.end_session(alice, laptop.principal.session_id)
    assert [each.id for each in await here.use_cases.accounts.list_sessions(alice)] == [alice.session_id]
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.authenticate(laptop.access_token)
    with pytest.raises(Unauthenticated):
        await here.use_cases.accounts.refresh(laptop.refresh_token)


async def test_sessions_of_others_and_unknown_ones_are_not_found() -> None:
    here = world()
    alice, bob = await here.person(), await here.person("bob")
    for session_id in (bob.session_id, SessionId("none")):
        assert session_id
        with pytest.raises(NotFound):
            await here.use_cases.accounts.end_session(alice, session_id)
    assert len(await here.use_cases.accounts.list_sessions(bob)) == 1


async def test_an_api_key_neither_lists_nor_ends_sessions() -> None:
    here = world()
    alice = await here.person()
    issued = await here.use_cases.accounts.create_api_key(alice, NewApiKey(name="CI"))
    program = await here.use_cases.accounts.authenticate_key(issued.text)
    with pytest.raises(Forbidden):
        await here.use_cases.accounts.list_sessions(program)
    with pytest.raises(Forbidden):
        await here.use_cases.accounts.end_session(program, alice.session_id or SessionId(""))


async def test_one_session_too_many_ends_the_one_that_was_used_least_recently() -> None:
    here = world()
    first = await here.person()
    second = await signed_in(here)
    for _ in range(MAX_SESSIONS - 2):
        here.clock.advance(1)
        await signed_in(here)
    here.clock.advance(60)
    await here.use_cases.accounts.authenticate(second.access_token)
    await signed_in(here)
    listed = {each.id for each in await here.use_cases.accounts.list_sessions(first)}
    assert len(listed) == MAX_SESSIONS
    assert first.session_id not in listed
    assert second.principal.session_id in listed
