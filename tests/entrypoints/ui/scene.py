"""The page behind a real server, and people who send Gradio's events without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from gradio import Blocks
from gradio.routes import App as GradioApp
from starlette.routing import Mount

from chatbill.entrypoints.ui import WebConfig, create_web, end_streams
from tests.kit.chat import WITH_TOKENS
from tests.kit.engines import ControlledEngine
from tests.kit.support import PASSWORD, World, world
from tests.kit.waiting import eventually

JOIN, DATA = "/ui/gradio_api/queue/join", "/ui/gradio_api/queue/data"


class Server(uvicorn.Server):
    """A server without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Person:
    """A signed-in person whose browser has one tab open."""

    client: httpx.AsyncClient
    page: PageScene
    tab: str

    async def join(self, handler: str, *values: object, tab: str | None = None) -> httpx.Response:
        """Send an event to a handler of the page."""
        event = {"fn_index": self.page.handler(handler), "data": list(values), "session_hash": tab or self.tab}
        return await self.client.post(JOIN, json=event)

    @contextlib.asynccontextmanager
    async def stream(self, tab: str | None = None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Open the stream of answers. The end of the block closes the connection."""
        async with self.client.stream("GET", DATA, params={"session_hash": tab or self.tab}) as response:
            assert response.status_code == 200
            yield _messages(response)

    async def answers(self, tab: str | None = None) -> str:
        """Return all that the stream of a tab gives until every event of it has its answer."""
        async with self.stream(tab) as messages:
            return json.dumps([message async for message in messages])

    async def ask(self, handler: str, *values: object) -> str:
        """Send an event, and return its answer."""
        assert (await self.join(handler, *values)).status_code == 200
        return await self.answers()

    async def conversations(self) -> list[str]:
        """Return the ids of the person's conversations."""
        use_cases = self.page.world.use_cases
        principal = await use_cases.accounts.web_authenticate(self.client.cookies["chatbill_session"])
        return [each.id for each in (await use_cases.chat.list_conversations(principal)).items]


@dataclass
class PageScene:
    """A served page, and an engine that does what the test tells it."""

    world: World
    engine: ControlledEngine
    blocks: Blocks
    url: str
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    def handler(self, name: str) -> int:
        """Return the number by which a page calls a handler."""
        return next(number for number, each in self.blocks.fns.items() if each.fn and each.fn.__name__ == name)

    async def person(self, name: str, *, tab: str | None = None) -> Person:
        """Return a new person."""
        person = self._stranger(tab or f"tabof{name}")
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        assert (await person.client.post("/web/registration", json=account)).status_code == 200
        return person

    async def sign_in(self, name: str, *, tab: str) -> Person:
        """Return a person in another browser."""
        person = self._stranger(tab)
        assert (await person.client.post("/web/session", json={"login": name, "password": PASSWORD})).status_code == 200
        return person

    async def settled(self) -> None:
        """Wait until no reply is being written."""
        await eventually(lambda: len(self.world.use_cases.chat.replies) == 0)

    def _stranger(self, tab: str) -> Person:
        client = httpx.AsyncClient(base_url=self.url, headers={"Origin": self.url}, timeout=20)
        self._clients.append(client)
        return Person(client, self, tab)

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.aclose()


@contextlib.asynccontextmanager
async def page(config: WebConfig | None = None, **options: Any) -> AsyncIterator[PageScene]:
    """Serve the page on a free port."""
    engine = ControlledEngine(WITH_TOKENS)
    here = world(engine=engine, catalogue=WITH_TOKENS, deadline_s=60, **options)
    web = create_web(here.use_cases, config=config)
    blocks = next(r.app.get_blocks() for r in web.routes if isinstance(r, Mount) and isinstance(r.app, GradioApp))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = Server(uvicorn.Config(web, log_config=None, access_log=False, lifespan="on", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await eventually(lambda: server.started)
        scene = PageScene(here, engine, blocks, f"http://127.0.0.1:{sock.getsockname()[1]}")
        try:
            yield scene
        finally:
            await scene.close()
            end_streams(web)
            await here.use_cases.chat.replies.drain(grace_s=0)
            server.should_exit = True
            await serving


async def _messages(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            message = json.loads(line.removeprefix("data: "))
            if message["msg"] == "close_stream":
                return
            yield message
