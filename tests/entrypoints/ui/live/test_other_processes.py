"""The event connection at one process, while another one writes the reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.adapters.memory import MemoryStore
from chatbill.application.chat.events import Accepted, Completed, Delta, Event
from chatbill.application.chat.messages import Message
from chatbill.application.ports.signals import LocalSignals
from chatbill.entrypoints.ui import create_web
from chatbill.entrypoints.ui.live.growing import GrowingReply
from chatbill.entrypoints.web.timers import timers
from chatbill.testing import ManualClock, PlainTokens
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.kit.listening import listening
from tests.kit.rows import interaction
from tests.kit.support import CATALOGUE, MINI, PASSWORD, World, world


@dataclass
class Process:
    """A process with its page."""

    here: World
    web: FastAPI


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    """Return three processes on one store, which reach each other."""
    store, signals, clock, tokens = MemoryStore(), LocalSignals(), ManualClock(), PlainTokens()
    worlds = [
        world(store=store, signals=signals, clock=clock, tokens=tokens, engine=ScriptedEngine(CATALOGUE), ids=name)
        for name in ("one", "two", "three")
    ]
    made = [Process(each, create_web(each.use_cases)) for each in worlds]
    async with AsyncExitStack() as running:
        for here in worlds:
            await running.enter_async_context(timers(here.use_cases, sweep_interval_s=60))
        yield made
        for each in made:
            each.web.state.hub.close()


async def signed_in(process: Process) -> str:
    transport = httpx.ASGITransport(app=process.web)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        fields = {"username": "ann", "email": "ann@example.org", "password": PASSWORD}
        assert (await client.post("/web/registration", json=fields)).status_code == 200
        return str(client.cookies["chatbill_session"])


async def test_a_reply_grows_and_ends_on_a_page_at_another_process(processes: list[Process]) -> None:
    one, two, _ = processes
    token = await signed_in(one)
    ann = await one.here.use_cases.accounts.web_authenticate(token)
    async with listening(two.web, f"chatbill_session={token}") as page:
        await page.until("models")
        reply = await one.here.use_cases.chat.send_message(
            ann, Message(model=MINI, text="[[pause:0.05]] [[tokens:40]] over there")
        )
        told = await page.until("settled")
    grown = [data["open"] for name, data in told if name == "reply"]
    assert len(grown) > 3
    assert told[-1][1]["id"] == reply.accepted.interaction_id
    assert (told[-1][1]["outcome"], told[-1][1]["credits"]) == ("completed", 1)
    assert [name for name, _ in told].count("started") == 1


async def test_words_that_come_together_with_the_end_are_kept() -> None:
    accepted = Accepted.of(interaction())

    class Quick:
        """A reply whose last words and end are there at the same time."""

        settled = None

        def __init__(self) -> None:
            self.accepted = accepted

        async def follow(self) -> AsyncGenerator[Event, None]:
            yield accepted
            yield Delta("first ", 1)
            yield Delta("last", 1)
            yield Completed(interaction())

    growing = GrowingReply(reply=Quick(), tell=lambda _name, _data: None)
    await growing.follow()
    assert growing.text == "first last"


async def test_a_page_that_comes_from_another_process_sees_the_reply_that_runs(processes: list[Process]) -> None:
    one, two, _ = processes
    token = await signed_in(one)
    ann = await one.here.use_cases.accounts.web_authenticate(token)
    async with listening(one.web, f"chatbill_session={token}") as page:
        await page.until("models")
        reply = await one.here.use_cases.chat.send_message(
            ann, Message(model=MINI, text="[[pause:0.05]] [[tokens:60]] going on")
        )
        await page.until("reply")
    async with listening(two.web, f"chatbill_session={token}", page.last_id) as page:
        assert await page.next() == ("connected", {})
        told = await page.until("reply")
        assert told[-1][1]["id"] == reply.accepted.interaction_id
        assert told[-1][1]["from"] == 0
        await two.here.use_cases.chat.stop_message(ann, told[-1][1]["id"])
        told = await page.until("settled")
        assert told[-1][1]["outcome"] == "stopped"


@pytest.mark.parametrize("where", [0, 1, 2], ids=["the writer", "the one with the page", "a third one"])
async def test_a_view_at_any_process_begins_where_the_events_of_the_page_go_on(
    processes: list[Process], where: int
) -> None:
    one, two = processes[:2]
    token = await signed_in(one)
    ann = await one.here.use_cases.accounts.web_authenticate(token)
    async with listening(two.web, f"chatbill_session={token}") as page:
        await page.until("models")
        reply = await one.here.use_cases.chat.send_message(
            ann, Message(model=MINI, text="[[pause:0.05]] [[tokens:60]] going on")
        )
        grown = ""
        while len(grown) < 20:
            grown = (await page.until("reply"))[-1][1]["open"]
        transport = httpx.ASGITransport(app=processes[where].web)
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
            client.cookies["chatbill_session"] = token
            found = await client.get(f"/web/chat/turns/{reply.accepted.interaction_id}")
        assert "going on" in found.json()["turn"].split("cb-growing")[1]
        await one.here.use_cases.chat.stop_message(ann, reply.accepted.interaction_id)
        await page.until("settled")


async def test_a_balance_that_changed_at_another_process_is_told(processes: list[Process]) -> None:
    one, two, _ = processes
    token = await signed_in(one)
    ann = await one.here.use_cases.accounts.web_authenticate(token)
    async with listening(two.web, f"chatbill_session={token}") as page:
        await page.until("balance")
        reply = await one.here.use_cases.chat.send_message(ann, Message(model=MINI, text="short"))
        await asyncio.wait_for(reply.finished(), 10)
        (_, balance) = (await page.until("balance"))[-1]
    assert balance["balance"] + balance["held"] in {99, 100, 101}
