from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from chatbill.entrypoints.ui import WebConfig, create_web
from tests.kit.support import PASSWORD, World, world

SITE = "http://chat.example.org"
FROM_HERE = {"Origin": SITE}
ALICE = {"username": "alice", "email": "alice@example.org", "password": PASSWORD}


async def registered(client: httpx.AsyncClient) -> httpx.Response:
    """Register Alice, whose browser this client is from then on."""
    return await client.post("/web/registration", json=ALICE)


async def can_see_chat(client: httpx.AsyncClient) -> bool:
    """Return True if the address of the page shows the chat, and not the form to sign in."""
    page = await client.get("/ui/")
    assert page.status_code == 200
    return "gradio-app" in page.text


@pytest.fixture
def served() -> World:
    return world()


@pytest.fixture
async def client(served: World) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that keeps cookies and sends its origin, as a browser does."""
    web = create_web(served.use_cases, PlainTextResponse("the API"), WebConfig(session_s=7_200))
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        yield client
