from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from chatbill.entrypoints.ui import WebConfig, create_web
from tests.kit.support import World, world

SITE = "http://chat.example.org"
FROM_HERE = {"Origin": SITE}


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
