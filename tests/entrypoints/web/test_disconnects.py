"""Clients that disconnect while their password waits to be checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from chatbill.application.accounts.sign_in import Credentials
from chatbill.application.ports.passwords import Verified
from chatbill.domain.shared.errors import InvalidRequest
from chatbill.entrypoints.http import create_app
from chatbill.entrypoints.ui import create_web
from chatbill.entrypoints.ui.shared.cookies import NAME
from chatbill.entrypoints.web.disconnects import while_connected
from chatbill.entrypoints.web.problems import ClientLeft
from chatbill.testing import PlainPasswords
from tests.kit.support import PASSWORD, World, world
from tests.kit.waiting import eventually

BOB = {"username": "bob", "email": "bob@example.org", "password": PASSWORD}
ALICE = {"username": "alice", "login": "alice", "password": PASSWORD}
CHANGE = {"current_password": PASSWORD, "new_password": "another battery"}


class SlowPasswords(PlainPasswords):
    """Checks and hashes once it may go on."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()

    async def hash(self, password: str) -> str:
        await self.go.wait()
        return await super().hash(password)

    async def verify(self, password: str, stored: str | None) -> Verified:
        await self.go.wait()
        return await super().verify(password, stored)


class Client:
    """A client that sends a request, and disconnects when told to."""

    def __init__(self, app: Any, route: str, body: dict[str, str], token: str, cookie: str) -> None:
        method, path = route.split()
        self._parts = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        self._left = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"host", b"chat.example.org"),
                (b"origin", b"http://chat.example.org"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(self._parts[0]["body"])).encode()),  # type: ignore[arg-type]
                (b"authorization", f"Bearer {token}".encode()),
                (b"cookie", f"{NAME}={cookie}".encode()),
            ],
            "client": ("192.0.2.1", 1),
            "server": ("chat.example.org", 80),
            "state": {},
        }
        self.answered = asyncio.create_task(app(scope, self._receive, self._send))

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> Any:
        if self._parts:
            return self._parts.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        """Nothing that is sent reaches the client."""


def api(here: World) -> Any:
    return create_app(here.use_cases)


def page(here: World) -> Any:
    return create_web(here.use_cases)


@pytest.mark.parametrize(
    ("make", "route", "body"),
    [
        (api, "POST /auth/login", ALICE),
        (api, "POST /auth/register", BOB),
        (api, "POST /auth/password", CHANGE),
        (api, "PATCH /auth/me", {"email": "new@example.org", "password": PASSWORD}),
        (api, "DELETE /auth/me", {"password": PASSWORD}),
        (api, "POST /auth/api-keys", {"name": "CI", "password": PASSWORD}),
        (api, "POST /auth/totp", {"password": PASSWORD}),
        (page, "POST /web/session", ALICE),
        (page, "POST /web/registration", BOB),
        (page, "POST /web/password", CHANGE | {"revoke_api_keys": ""}),
        (page, "POST /web/api-keys", {"name": "CI", "monthly_cap": "", "scopes": "chat", "password": PASSWORD}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_client_that_disconnects_leaves_the_line(
    make: Callable[[World], Any], route: str, body: dict[str, str]
) -> None:
    passwords = SlowPasswords()
    here = world(passwords=passwords)
    await here.person("alice")
    accounts, credentials = here.use_cases.accounts, Credentials(login="alice", password=PASSWORD)
    token, cookie = [(await sign_in(credentials)).access_token for sign_in in (accounts.sign_in, accounts.web_sign_in)]
    gate, app = accounts.password_gate, make(here)
    passwords.go.clear()
    clients = [Client(app, route, body, token, cookie) for _ in range(3)]
    await eventually(lambda: gate.waiting == 2)
    for client in clients:
        client.leave()
    await asyncio.wait_for(asyncio.gather(*(client.answered for client in clients)), 10)
    assert gate.waiting == 0
    async with gate.turn("another"):
        pass


async def never() -> Any:
    await asyncio.Event().wait()


async def test_work_for_a_connected_client_returns_its_result_or_raises_its_error() -> None:
    async def add() -> int:
        return 2

    async def fail() -> int:
        raise InvalidRequest

    assert await while_connected(never, add()) == 2
    with pytest.raises(InvalidRequest):
        await while_connected(never, fail())


async def test_work_for_a_client_that_left_is_cancelled() -> None:
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        try:
            await never()
        finally:
            cancelled = True

    async def disconnect() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientLeft):
        await while_connected(disconnect, work())
    assert cancelled


async def test_cancelling_the_wait_cancels_the_work() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await never()
        finally:
            ended.set()

    waiting = asyncio.create_task(while_connected(never, work()))
    await began.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert ended.is_set()
