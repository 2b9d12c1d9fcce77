"""People of the staff in browsers of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.chat.messages import Message
from chatbill.domain.accounts.users import UserRole
from chatbill.entrypoints.ui import create_web
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.kit.staff import member
from tests.kit.support import CATALOGUE, MINI, PASSWORD, World, world

Enter = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def served() -> World:
    return world(engine=ScriptedEngine(CATALOGUE))


@pytest.fixture
async def web(served: World) -> FastAPI:
    return create_web(served.use_cases)


@pytest.fixture
async def enter(served: World, web: FastAPI) -> AsyncIterator[Enter]:
    """Return a function that signs in somebody with a role, in a browser of their own."""
    clients: list[httpx.AsyncClient] = []

    async def sign_in(role: UserRole, name: str = "") -> httpx.AsyncClient:
        name = name or f"a.{role.value}.here"
        await member(served, role, name)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=web), base_url=SITE, headers=FROM_HERE)
        clients.append(client)
        answer = await client.post("/web/session", json={"login": name, "password": PASSWORD})
        assert answer.status_code == 200
        return client

    yield sign_in
    for client in clients:
        await client.aclose()


async def chatted(served: World, name: str = "ann", text: str = "hello") -> str:
    """Let a person send a message; return the id of the interaction."""
    person = await member(served, UserRole.USER, name)
    reply = await served.use_cases.chat.send_message(person, Message(model=MINI, text=text))
    return (await reply.finished()).interaction.id
