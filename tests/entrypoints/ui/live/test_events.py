"""The event connection of a browser, over the application and its real use cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.chat.messages import Message
from chatbill.application.shared.principal import Principal
from chatbill.entrypoints.ui import WebConfig, create_web
from chatbill.entrypoints.ui.live.hub import READERS_OF_PERSON
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.kit.listening import Listener, Told, listening
from tests.kit.support import CATALOGUE, MINI, PASSWORD, World, world
from tests.kit.waiting import eventually

IDLE_S = 1_200.0


@pytest.fixture
def served() -> World:
    return world(engine=ScriptedEngine(CATALOGUE), session_idle_s=IDLE_S)


@pytest.fixture
async def web(request: pytest.FixtureRequest, served: World) -> AsyncIterator[FastAPI]:
    web = create_web(served.use_cases, None, WebConfig(max_streams=getattr(request, "param", 3)))
    yield web
    web.state.hub.close()


Enter = Callable[[str], Awaitable[tuple[str, Principal]]]


@pytest.fixture
def enter(web: FastAPI, served: World) -> Enter:
    async def sign_in(name: str) -> tuple[str, Principal]:
        transport = httpx.ASGITransport(app=web)
        async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
            fields = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
            answer = await client.post("/web/registration", json=fields)
            assert answer.status_code == 200
            token = client.cookies["chatbill_session"]
        return f"chatbill_session={token}", await served.use_cases.accounts.web_authenticate(token)

    return sign_in


async def heard(page: Listener, *, within_s: float) -> list[Told | None]:
    """Return everything that a page is told within some time."""
    told: list[Told | None] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while True:
                told.append(await page.next())
    return told


async def send(served: World, principal: Principal, text: str, *, temporary: bool = False) -> Any:
    message = Message(model=MINI, text=text, temporary=temporary)
    return await served.use_cases.chat.send_message(principal, message)


async def test_a_reply_grows_and_ends_on_the_page_of_its_person(served: World, web: FastAPI, enter: Enter) -> None:
    cookie, ann = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("balance")
        reply = await send(served, ann, "[[pause:0.02]] [[tokens:20]] tell me")
        told = await page.until("settled")
        blocks = [data for name, data in told if name == "reply"]
        assert blocks
        assert blocks[-1]["id"] == reply.accepted.interaction_id
        assert told[-1][1]["credits"] > 0
        balances = [data["balance"] for name, data in told if name == "balance"]
        # It may be told before or after the end of the reply.
        while 100 - told[-1][1]["credits"] not in balances:
            balances.append((await page.until("balance"))[-1][1]["balance"])


async def test_the_end_of_a_temporary_reply_brings_its_text_and_that_of_another_does_not(
    served: World, web: FastAPI, enter: Enter
) -> None:
    cookie, ann = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("balance")
        await send(served, ann, "[[tokens:3]] **one** two three", temporary=True)
        (_, end) = (await page.until("settled"))[-1]
        assert end["reply"] == "**one** two three"
        assert "<strong>one</strong> two three" in end["html"]
        await send(served, ann, "[[tokens:3]] four five six")
        (_, end) = (await page.until("settled"))[-1]
        assert not {"reply", "html"} & set(end)


async def test_a_temporary_reply_that_ended_without_a_connection_is_told_to_the_next_ones(
    served: World, web: FastAPI, enter: Enter
) -> None:
    cookie, ann = await enter("ann")
    reply = await send(served, ann, "[[tokens:3]] five six seven", temporary=True)
    await reply.finished()
    for _ in range(2):
        async with listening(web, cookie) as page:
            (_, end) = (await page.until("settled"))[-1]
            assert (end["id"], end["reply"]) == (reply.accepted.interaction_id, "five six seven")


async def test_the_text_of_a_temporary_reply_is_forgotten_after_a_while(
    served: World, web: FastAPI, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbill.entrypoints.ui.live.hub.KEPT_S", 0.0)
    cookie, ann = await enter("ann")
    reply = await send(served, ann, "[[tokens:3]] five six seven", temporary=True)
    end = (await reply.finished()).interaction
    await eventually(lambda: web.state.hub.kept(end) is None and ann.user_id not in web.state.hub._feeds)
    async with listening(web, cookie) as page:
        await page.until("models")
        assert "settled" not in {told[0] for told in await heard(page, within_s=0.5) if told}


async def test_the_turn_of_a_temporary_reply_brings_its_text_for_a_while(
    served: World, web: FastAPI, enter: Enter
) -> None:
    cookie, ann = await enter("ann")
    reply = await send(served, ann, "[[tokens:3]] **five** six seven", temporary=True)
    end = (await reply.finished()).interaction
    await eventually(lambda: web.state.hub.kept(end) is not None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=web), base_url=SITE) as client:
        answer = await client.get(f"/web/chat/turns/{end.id}", headers={"Cookie": cookie})
    assert answer.json()["reply"] == "**five** six seven"
    assert "<strong>five</strong>" in answer.json()["html"]


async def test_nothing_of_one_person_reaches_the_page_of_another(served: World, web: FastAPI, enter: Enter) -> None:
    (cookie, _), (cookie_of_bob, bob) = await enter("ann"), await enter("bob")
    async with listening(web, cookie_of_bob) as of_bob, listening(web, cookie) as page:
        await of_bob.until("balance")
        await page.until("balance")
        reply = await send(served, bob, "[[tokens:5]] a secret")
        assert reply.accepted.interaction_id in str(await of_bob.until("settled"))
        told = [each for each in await heard(page, within_s=1) if each]
        assert {name for name, _ in told} <= {"connected", "conversations", "models"}
        assert reply.accepted.interaction_id not in str(told)


async def test_a_connection_that_was_lost_goes_on_after_the_last_event(
    served: World, web: FastAPI, enter: Enter
) -> None:
    cookie, ann = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("models")
        last_id = page.last_id
    reply = await send(served, ann, "[[tokens:5]] while away")
    await reply.finished()
    async with listening(web, cookie, last_id) as page:
        told = await page.until("settled")
    assert "connected" not in {name for name, _ in told}
    assert "started" in {name for name, _ in told}


async def test_a_script_that_connects_again_says_in_the_address_what_it_saw(
    served: World, web: FastAPI, enter: Enter
) -> None:
    cookie, ann = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("models")
        last_id = page.last_id
    reply = await send(served, ann, "[[tokens:5]] while away")
    await reply.finished()
    async with listening(web, cookie, query=f"last={last_id}") as page:
        told = await page.until("settled")
    assert "connected" not in {name for name, _ in told}


async def test_a_page_that_missed_too_much_is_told_so(web: FastAPI, enter: Enter) -> None:
    cookie, _ = await enter("ann")
    for last_id in ("", "00000000-5", "x", "-", "9" * 50):
        async with listening(web, cookie, last_id) as page:
            assert await page.next() == ("connected", {})


async def test_a_reply_that_runs_is_told_from_its_beginning(served: World, web: FastAPI, enter: Enter) -> None:
    cookie, ann = await enter("ann")
    reply = await send(served, ann, "[[pause:0.05]] [[tokens:40]] slowly")
    async with listening(web, cookie) as page:
        told = await page.until("settled")
    text = "".join(html for name, data in told if name == "reply" for html in [*data["ended"], data["open"]])
    end = await reply.finished()
    assert end.interaction.reply.split()[0] in text


async def test_the_page_is_told_that_its_session_has_ended(
    served: World, web: FastAPI, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbill.entrypoints.ui.live.stream.PING_S", 0.05)
    cookie, ann = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("models")
        await served.use_cases.accounts.sign_out(ann)
        await page.until("left")
        assert await page.next() is None


async def test_an_open_page_does_not_keep_a_session_alive(
    served: World, web: FastAPI, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbill.entrypoints.ui.live.stream.PING_S", 0.05)
    cookie, _ = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("models")
        # The session is looked at several times before it is idle for long enough.
        for _ in range(6):
            served.clock.advance(IDLE_S / 4)
            await asyncio.sleep(0.3)
        await page.until("left")


async def test_connections_are_bounded(web: FastAPI, enter: Enter) -> None:
    cookie, _ = await enter("ann")
    async with listening(web, cookie) as one, listening(web, cookie) as two, listening(web, cookie) as three:
        for each in (one, two, three):
            await each.until("models")
        four = Listener(web, cookie)
        await asyncio.wait_for(four.run(), 10)
        assert four.status == 429


@pytest.mark.parametrize("web", [99], indirect=True)
async def test_one_person_has_a_bounded_number_of_connections_and_others_have_theirs(
    web: FastAPI, enter: Enter
) -> None:
    (cookie, _), (cookie_of_bob, _) = await enter("ann"), await enter("bob")
    async with AsyncExitStack() as stack:
        for _ in range(READERS_OF_PERSON):
            page = await stack.enter_async_context(listening(web, cookie))
            await page.until("models")
        one_more = Listener(web, cookie)
        await asyncio.wait_for(one_more.run(), 10)
        assert one_more.status == 429
        of_bob = await stack.enter_async_context(listening(web, cookie_of_bob))
        await of_bob.until("models")


async def test_strangers_get_no_events(web: FastAPI) -> None:
    stranger = Listener(web, "chatbill_session=none")
    await asyncio.wait_for(stranger.run(), 10)
    assert stranger.status == 401


async def test_connections_end_when_the_service_stops(web: FastAPI, enter: Enter) -> None:
    cookie, _ = await enter("ann")
    async with listening(web, cookie) as page:
        await page.until("models")
        web.state.hub.close()
        assert await page.next() is None
