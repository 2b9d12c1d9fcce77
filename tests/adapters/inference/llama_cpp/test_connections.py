"""The connections to llama.cpp, with a server of the test."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from chatbill.adapters.inference.catalogue.model_spec import Sampling
from chatbill.adapters.inference.llama_cpp.server import LlamaServer
from chatbill.adapters.inference.openai import Timeouts
from chatbill.domain.chat.conversations import Role, Turn

TURNS = (Turn(Role.USER, "Hello"),)


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, and hang up at the second one, as llama.cpp does when a connection is old."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
    await reader.readexactly(length)
    body = json.dumps({"prompt": "Hello", "tokens": [1, 2, 3]}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await reader.read(1)
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_old_connection_fails_no_request(tmp_path: Path) -> None:
    async def ready() -> None:
        """Return at once."""

    async def has_ended() -> bool:
        return False

    socket = tmp_path / "llama.sock"
    answers: list[asyncio.Task[None]] = []
    listening = await asyncio.start_unix_server(
        lambda reader, writer: answers.append(asyncio.create_task(answer_once(reader, writer))), str(socket)
    )
    server = LlamaServer(
        socket, "key", sampling=Sampling(), timeouts=Timeouts(), max_connections=4, ready=ready, has_ended=has_ended
    )
    async with listening:
        assert [await server.prompt_tokens(TURNS) for _ in range(3)] == [3, 3, 3]
        await server.close()
        await asyncio.gather(*answers)
