"""Sending, stopping and reading over the application, as the script of the page does it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from chatbill.entrypoints.ui import WebConfig, create_web
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.kit.chat import WITH_TOKENS
from tests.kit.engines import ControlledEngine
from tests.kit.support import PASSWORD, World, world
from tests.kit.waiting import eventually

SEND, QUOTE = "/web/chat/messages", "/web/chat/quote"


@pytest.fixture
def engine() -> ControlledEngine:
    return ControlledEngine(WITH_TOKENS)


@pytest.fixture
def welcome_credits() -> int:
    return 100


@pytest.fixture
def served(engine: ControlledEngine, welcome_credits: int) -> World:
    return world(engine=engine, catalogue=WITH_TOKENS, deadline_s=60, welcome_credits=welcome_credits)


@pytest.fixture
async def client(served: World) -> AsyncIterator[httpx.AsyncClient]:
    """Return a signed-in person."""
    transport = httpx.ASGITransport(app=create_web(served.use_cases, PlainTextResponse("the API")))
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        await registered(client, "alice")
        yield client
    await served.use_cases.chat.replies.drain(grace_s=0)


async def registered(client: httpx.AsyncClient, name: str) -> None:
    account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    (await client.post("/web/registration", json=account)).raise_for_status()


class Talk:
    """A conversation of a person, whose replies are their messages in capitals."""

    def __init__(self, client: httpx.AsyncClient, engine: ControlledEngine, served: World) -> None:
        self.client, self.engine, self.served = client, engine, served
        self.conversation = ""

    async def begin(self, text: str, **more: object) -> dict[str, Any]:
        """Send a message, whose reply is not written yet."""
        fields = {"model": "demo-mini", "text": text, "conversation_id": self.conversation} | more
        answer = await self.client.post(SEND, json=fields)
        assert answer.status_code == 202, answer.text
        turn: dict[str, Any] = answer.json()
        self.conversation = turn["conversation"]
        return turn

    async def end(self) -> None:
        self.engine.last.say(self.engine.last.request.turns[-1].text.upper())
        self.engine.last.end()
        await eventually(lambda: len(self.served.use_cases.chat.replies) == 0)

    async def say(self, text: str, **more: str) -> str:
        turn = await self.begin(text, **more)
        await self.end()
        return str(turn["id"])

    async def again(self, id_: str, model: str = "") -> str:
        answer = await self.client.post(f"/web/chat/turns/{id_}/regenerate", json={"model": model, "key": ""})
        assert answer.status_code == 202, answer.text
        await self.end()
        return str(answer.json()["id"])

    async def shown(self, query: str = "") -> list[str]:
        """Return the messages that the view shows, with their places among their versions."""
        page = (await self.client.get(f"/web/views/c/{self.conversation}{query}")).text
        turns = page.split("<article id=")[1:]
        place = [re.search(r"<span>(\d+/\d+)</span>", turn) for turn in turns]
        texts = [re.findall(r'cb-said">(.*?)</div>', turn, re.DOTALL)[0] for turn in turns]
        return [f"{text} {at[1]}" if at else text for text, at in zip(texts, place, strict=True)]

    @property
    def read(self) -> str:
        """Return what the model was given to read."""
        return " ".join(turn.text for turn in self.engine.last.request.turns)


@pytest.fixture
def talk(client: httpx.AsyncClient, engine: ControlledEngine, served: World) -> Talk:
    return Talk(client, engine, served)


async def test_a_message_is_answered_with_its_turn_before_the_reply_is_written(talk: Talk) -> None:
    turn = await talk.begin("Why <b>?")
    assert f'<article id="turn-{turn["id"]}"' in turn["turn"]
    assert "Why &lt;b&gt;?" in turn["turn"]
    assert "writing…" in turn["turn"]
    await talk.end()
    after = (await talk.client.get(f"/web/chat/turns/{turn['id']}")).json()
    assert "WHY &lt;B&gt;?" in after["turn"]
    assert "1 credit</span> in this chat" in after["about"]
    assert (await talk.client.get(f"/web/chat/turns/{turn['id']}/text")).text == "WHY <B>?"


async def test_the_same_key_sends_once_also_while_the_reply_is_written(talk: Talk) -> None:
    first = await talk.begin("Once", key="k1")
    fields = {"model": "demo-mini", "text": "Once", "conversation_id": "", "parent_id": "", "key": "k1"}
    again = await talk.client.post(SEND, json=fields)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    await talk.end()
    assert (await talk.client.post(SEND, json=fields)).json()["id"] == first["id"]
    other = await talk.client.post(SEND, json=fields | {"text": "Another"})
    assert other.json()["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("welcome_credits", [2])
async def test_a_message_that_cannot_be_paid_is_refused(talk: Talk, served: World) -> None:
    message = {"model": "demo-pro", "text": "Think"}
    quote = (await talk.client.post(QUOTE, json=message)).json()
    assert (quote["text"], quote["enough"]) == ("up to 3 credits, you have 2", False)
    answer = await talk.client.post(SEND, json=message)
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert len(served.use_cases.chat.replies) == 0


async def test_a_temporary_chat_sends_what_was_said_and_gets_turns_without_texts(talk: Talk) -> None:
    turn = await talk.begin("my secret", history=["I am Ada", "Hello Ada"])
    assert talk.read == "I am Ada Hello Ada my secret"
    await talk.end()
    after = (await talk.client.get(f"/web/chat/turns/{turn['id']}")).json()
    assert 'data-temporary="1"' in after["turn"]
    assert not {"secret", "SECRET", "Regenerate", "Edit"} & set(re.findall(r"\w+", after["turn"]))
    assert after["about"] == ""
    assert "secret" not in (await talk.client.get("/web/chat/conversations")).text
    assert "Temporary: the texts were not stored." in (await talk.client.get("/web/views/history")).text


@pytest.mark.parametrize("offered", [True, False])
async def test_temporary_chats_are_offered_only_where_a_browser_stays_at_one_process(
    served: World, *, offered: bool
) -> None:
    web = create_web(served.use_cases, None, WebConfig(temporary_chats=offered))
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        await registered(client, "ann")
        assert ('id="cb-temporary"' in (await client.get("/web/views/")).text) is offered


@pytest.mark.parametrize("history", ["text", [1], {}, [["a"]]])
async def test_a_history_that_is_no_list_of_texts_is_refused(client: httpx.AsyncClient, history: object) -> None:
    body = {"model": "demo-mini", "text": "Hello", "history": history}
    assert (await client.post(SEND, json=body)).status_code == 422


async def test_a_pinned_conversation_is_listed_before_all_days(talk: Talk) -> None:
    await talk.say("the first")
    first, talk.conversation = talk.conversation, ""
    await talk.say("the second")
    address = f"/web/chat/conversations/{first}"
    assert (await talk.client.post(address, json={"pinned": "true"})).json() == {"say": "Pinned."}
    listed = (await talk.client.get("/web/chat/conversations")).text
    days = [re.findall(r'title="(.*?)"', day) for day in listed.split("<h2")]
    assert days == [[], ["the first"], ["the second"]]
    assert "Pinned" in listed
    assert 'data-chat="pin" aria-pressed="true"' in (await talk.client.get(f"/web/views/c/{first}")).text
    assert (await talk.client.post(address, json={"pinned": "false"})).json() == {"say": "Not pinned any more."}
    assert "Pinned" not in (await talk.client.get("/web/chat/conversations")).text


@pytest.mark.parametrize("body", [[], {"text": 1}, {"text": None, "model": "demo-mini"}, "x"])
async def test_a_body_that_is_no_message_is_refused(client: httpx.AsyncClient, body: object) -> None:
    assert (await client.post(SEND, json=body)).status_code == 422


async def test_an_edited_message_is_a_version_beside_the_first(talk: Talk) -> None:
    first = await talk.say("a")
    await talk.say("b")
    edited = await talk.say("c", parent_id=talk.conversation)
    assert talk.read == "c"
    assert await talk.shown() == ["c 2/2"]
    assert await talk.shown(f"?at={first}") == ["a 1/2", "b"]
    await talk.say("d", parent_id=edited)
    assert talk.read == "c C d"
    assert await talk.shown() == ["c 2/2", "d"]


async def test_a_reply_is_written_again_by_another_model_beside_the_first(talk: Talk) -> None:
    await talk.say("a")
    second = await talk.say("b")
    again = await talk.again(second, "demo-pro")
    assert talk.read == "a A b"
    assert await talk.shown() == ["a", "b 2/2"]
    page = (await talk.client.get(f"/web/chat/turns/{again}")).json()["turn"]
    assert 'Demo pro · <span class="cb-credits">3 credits</span>' in page
    assert await talk.shown(f"?at={second}") == ["a", "b 1/2"]


async def test_all_messages_of_a_long_conversation_can_be_reached(talk: Talk) -> None:
    for number in range(23):
        await talk.say(str(number))
    assert await talk.shown() == [str(number) for number in range(3, 23)]
    page = (await talk.client.get(f"/web/views/c/{talk.conversation}")).text
    older = re.search(r'data-older="\.\.([^"]+)"', page)
    assert older
    rest = (await talk.client.get(older[1].replace("&amp;", "&"))).text
    assert re.findall(r'cb-said">(\d+)</div>', rest) == ["0", "1", "2"]
    assert "data-older" not in rest


async def test_a_reply_is_stopped(talk: Talk, served: World) -> None:
    turn = await talk.begin("a")
    assert (await talk.client.post(f"/web/chat/turns/{turn['id']}/stop", json={})).status_code == 200
    await eventually(lambda: len(served.use_cases.chat.replies) == 0)
    assert "stopped" in (await talk.client.get(f"/web/chat/turns/{turn['id']}")).json()["turn"]


async def test_the_price_of_a_reply_is_explained_with_its_entry(talk: Talk) -> None:
    id_ = await talk.say("a")
    page = (await talk.client.get(f"/web/chat/turns/{id_}/price")).text
    assert "balance after it 99 credits" in page
    turn = await talk.begin("b")
    await talk.client.post(f"/web/chat/turns/{turn['id']}/stop", json={})
    await eventually(lambda: len(talk.served.use_cases.chat.replies) == 0)
    assert "nothing was charged" in (await talk.client.get(f"/web/chat/turns/{turn['id']}/price")).text


async def test_conversations_are_renamed_found_and_deleted(talk: Talk) -> None:
    await talk.say("About owls")
    address = f"/web/chat/conversations/{talk.conversation}"
    assert (await talk.client.post(address, json={"title": " "})).status_code == 422
    await talk.client.post(address, json={"title": "Birds <b>"})
    assert "Birds &lt;b&gt;" in (await talk.client.get("/web/chat/conversations?q=OWLS")).text
    assert "No chat has these words." in (await talk.client.get("/web/chat/conversations?q=whales")).text
    answer = await talk.client.request("DELETE", address, json={})
    assert answer.json()["go"] == ""
    assert (await talk.client.get(f"/web/views/c/{talk.conversation}")).status_code == 404


async def test_nothing_of_another_person_is_found(talk: Talk, served: World) -> None:
    id_, conversation = await talk.say("A secret"), talk.conversation
    talk.client.cookies.clear()
    await registered(talk.client, "mallory")
    for path in (
        f"/web/views/c/{conversation}",
        f"/web/chat/turns/{id_}",
        f"/web/chat/turns/{id_}/text",
        f"/web/chat/turns/{id_}/price",
        f"/web/chat/conversations/{conversation}/older?before={id_}",
    ):
        answer = await talk.client.get(path)
        assert answer.status_code == 404, path
        assert "secret" not in answer.text
    for path, fields in (
        (f"/web/chat/turns/{id_}/stop", {}),
        (f"/web/chat/turns/{id_}/regenerate", {"model": "", "key": ""}),
        (f"/web/chat/conversations/{conversation}", {"title": "Mine"}),
        (SEND, {"model": "demo-mini", "text": "x", "conversation_id": conversation}),
        (QUOTE, {"model": "demo-mini", "text": "x", "conversation_id": conversation}),
    ):
        assert (await talk.client.post(path, json=fields)).status_code == 404, path
    assert len(served.use_cases.chat.replies) == 0


async def test_the_first_screen_tells_the_gift_and_offers_three_beginnings(client: httpx.AsyncClient) -> None:
    page = (await client.get("/web/views/")).text
    assert '<b class="cb-credits">100 credits</b>' in page
    assert page.count("data-start=") == 3
    assert page.count("<h1") == 1
