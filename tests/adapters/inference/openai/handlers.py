"""What a test server does with a request, as many tests need it."""

from __future__ import annotations

import socket
from typing import Any

from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId
from tests.adapters.inference.openai.fake_servers import Connection, Handler, delta
from tests.adapters.inference.openai.scene import Scene
from tests.kit.waiting import eventually

SAID = Usage(prompt_tokens=12, completion_tokens=3)
LIKELY_PROMPT = 3 + 4 + 3
"""What "Hello there" is likely to be: a token for four bytes, four around the message, three around them all."""


async def good(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(role="assistant", content=""))
    await connection.say("one", " two", " three")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


PRO = ModelId("demo-pro")
BROKEN, NOT_SET_UP = Description("model_server_broken"), Description("model_not_set_up")


def in_turn(*handlers: Handler) -> Handler:
    """The first handler for the first request, and so on; the last one from then on."""
    left = list(handlers)

    async def handler(connection: Connection) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(connection)

    return handler


def refusing(status: int, body: str = "{}", *headers: str) -> Handler:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, body, *headers)

    return handler


async def reset_at_once(connection: Connection) -> None:
    connection.reset()


async def becomes(here: Scene, state: ModelState) -> None:
    await eventually(lambda: here.status.state is state)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def answering(*events: dict[str, Any] | str) -> Handler:
    async def handler(connection: Connection) -> None:
        await connection.head()
        for event in (*events, "[DONE]"):
            await connection.event(event)

    return handler
