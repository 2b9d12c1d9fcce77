"""Helpers for tests of the API: the application, clients of users, a real server, and readers of event streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import uvicorn
from litestar import Litestar

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.assembly import UseCases
from chatbill.entrypoints.http import HttpConfig, create_app
from chatbill.entrypoints.http.app import HttpApp
from tests.kit.support import CATALOGUE, PASSWORD, World, world
from tests.kit.waiting import eventually

Event = tuple[str, dict[str, Any]]


@dataclass(kw_only=True)
class Api:
    """The application, its world, and its clients."""

    world: World
    app: Litestar
    url: str = "http://test"
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return a client that is not signed in. It uses the socket if there is one, else this event loop."""
        if self.url == "http://test":
            # The transport does not raise errors of the application; the client gets the answer.
            options["transport"] = httpx.ASGITransport(cast("Any", self.app), raise_app_exceptions=False)
        client = httpx.AsyncClient(base_url=self.url, **options)
        self._clients.append(client)
        return client

    async def person(self, name: str = "alice") -> httpx.AsyncClient:
        """Return a client of a new user."""
        client = self.client(timeout=10)
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        assert (await client.post("/auth/register", json=account)).status_code == 201
        signed_in = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        return client

    async def settled(self) -> None:
        """Wait until no reply is being written."""
        await eventually(lambda: len(self.world.use_cases.chat.replies) == 0)

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.aclose()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def api(config: HttpConfig | None = None, **ports: Any) -> AsyncIterator[Api]:
    """Run the API in this event loop."""
    ports.setdefault("engine", ScriptedEngine(ports.get("catalogue", CATALOGUE)))
    everything = world(**ports)
    with application(everything, config or HttpConfig()) as app:
        running = Api(world=everything, app=app)
        yield running
        await running.close()
        await everything.use_cases.chat.replies.drain(grace_s=0)


_idle: dict[HttpConfig, list[tuple[HttpApp, UseCases]]] = defaultdict(list)
"""Applications that no test uses now, each with the object through which it reaches its use cases."""


@contextlib.contextmanager
def application(everything: World, config: HttpConfig) -> Iterator[HttpApp]:
    """Yield the application of this world, for this test alone.

    Registering all routes takes longer than most tests. An application keeps nothing but its routes and its use cases,
    so one that a test is done with is given the use cases of the next.
    """
    if not _idle[config]:
        app, use_cases = create_app(everything.use_cases, config), everything.use_cases
    else:
        app, use_cases = _idle[config].pop()
        vars(use_cases).clear()
        vars(use_cases).update(vars(everything.use_cases))
        everything.use_cases, app.metrics = use_cases, use_cases.recent
    try:
        yield app
    finally:
        if config.metrics is None:
            _idle[config].append((app, use_cases))


@contextlib.asynccontextmanager
async def served(config: HttpConfig | None = None, **ports: Any) -> AsyncIterator[Api]:
    """Run the API behind a real server on a free port."""
    async with api(config, **ports) as running:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            settings = uvicorn.Config(
                running.app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False
            )
            server = _Server(settings)
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            await eventually(lambda: server.started)
            running.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            try:
                yield running
            finally:
                await running.close()
                server.should_exit = True
                await serving


def say(message: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a message to the small model."""
    return {"model": "demo-mini", "message": message, **fields}


@contextlib.asynccontextmanager
async def stream(
    client: httpx.AsyncClient, body: dict[str, Any], **headers: str
) -> AsyncIterator[AsyncIterator[Event]]:
    """Send a message and read its events as they come. The end of the block closes the connection."""
    accept = {"Accept": "text/event-stream", **headers}
    async with client.stream("POST", "/chat/message", json=body, headers=accept) as response:
        assert response.status_code == 200, await response.aread()
        yield events_of(response)


async def events_of(response: httpx.Response) -> AsyncIterator[Event]:
    """Yield the events of a stream without its comments."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
