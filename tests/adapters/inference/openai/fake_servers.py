"""Servers with OpenAI's API on real sockets: one that works, and one whose every byte a test decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvicorn

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.scripted import Script
from tests.kit.waiting import eventually


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class WorkingServer:
    """Answers as the scripted engine does, a word a token, and counts them."""

    url: str = ""
    written: int = 0
    """The tokens of all replies so far."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    """Requests whose client left before the end."""
    connections: set[tuple[str, int]] = field(default_factory=set)
    """The addresses from which requests for more than one token came."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, as an ASGI application."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body)
        self.bodies.append(asked)
        if asked["max_tokens"] > 1:
            self.connections.add(tuple(scope["client"]))
        assert scope["path"] == "/v1/chat/completions"
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        writing = asyncio.create_task(self._write(asked, send))
        leaving = asyncio.create_task(receive())
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            self.left += 1
            writing.cancel()
        leaving.cancel()
        await asyncio.wait({writing, leaving})

    async def _write(self, asked: dict[str, Any], send: Any) -> None:
        script = Script.of(asked["messages"][-1]["content"])
        words = script.reply(asked["max_tokens"])

        async def say(event: dict[str, Any] | str) -> None:
            data = event if isinstance(event, str) else json.dumps(event)
            await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})

        await say(delta(role="assistant"))
        await asyncio.sleep(script.sleep_s)
        for number, word in enumerate(words):
            if number:
                await asyncio.sleep(script.pause_s)
            self.written += 1
            await say(delta(content=word))
        await say(delta(finish_reason="length" if len(words) == asked["max_tokens"] else "stop"))
        if asked.get("stream_options", {}).get("include_usage"):
            prompt = sum(len(message["content"].split()) for message in asked["messages"])
            usage = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
            await say({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        await say("[DONE]")
        await asyncio.sleep(0.02)  # over a network the end of a response often arrives separately
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def working_server() -> AsyncIterator[WorkingServer]:
    """Run a server that works, in this loop, on a free port."""
    app = WorkingServer()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        app.url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        server = _Uvicorn(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await eventually(lambda: server.started)
        try:
            yield app
        finally:
            server.should_exit = True
            await serving


class Connection:
    """One connection of a test server, after its request was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        self.body = body
        self._reader = reader
        self._writer = writer

    async def raw(self, data: bytes | str) -> None:
        """Send these bytes."""
        self._writer.write(data.encode() if isinstance(data, str) else data)
        await self._writer.drain()

    async def head(self, status: int = 200, *lines: str) -> None:
        """Send a status line and headers; without a length, so the body ends with the connection."""
        kind = "text/event-stream" if status == 200 else "application/json"
        given = "\r\n".join((f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", "Connection: close", *lines))
        await self.raw(f"{given}\r\n\r\n")

    async def refuse(self, status: int, body: str, *lines: str) -> None:
        """Send a complete response that is not a stream."""
        await self.head(status, f"Content-Length: {len(body.encode())}", *lines)
        await self.raw(body)

    async def say(self, *texts: str) -> None:
        """Send a chunk for each text."""
        for text in texts:
            await self.event(delta(content=text))

    async def event(self, event: dict[str, Any] | str) -> None:
        """Send one event."""
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        await self.raw(f"data: {data}\n\n")

    async def finish(self, **usage: int) -> None:
        """Send the end of a reply, with a usage if there is one."""
        await self.event(delta(finish_reason="stop"))
        if usage:
            await self.event({"choices": [], "usage": usage})
        await self.event("[DONE]")

    async def left(self) -> None:
        """Return when the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1_024):
                pass

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        transport = self._writer.transport
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


Handler = Callable[[Connection], Awaitable[None]]


async def works(connection: Connection) -> None:
    """Answer with one token, which suffices for a probe."""
    await connection.head()
    await connection.say("ok")
    await connection.finish(prompt_tokens=8, completion_tokens=1)


@dataclass
class ScriptedServer:
    """Does `handler` with each request for more than one token, and `probed` with each probe."""

    handler: Handler = works
    probed: Handler = works
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    probes: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection with one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            body = json.loads(await reader.readexactly(length))
            is_probe = 1 in {body.get("max_tokens"), body.get("max_completion_tokens")}
            if is_probe:
                self.probes += 1
            else:
                self.asked.append({**body, "head": head})
            await (self.probed if is_probe else self.handler)(Connection(reader, writer, body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def scripted_server(handler: Handler = works, *, probed: Handler = works) -> AsyncIterator[ScriptedServer]:
    """Run a server that follows its handlers, on a free port; connections that are open at the end are cancelled."""
    bad = ScriptedServer(handler=handler, probed=probed)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        running.add(task)
        task.add_done_callback(running.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await bad.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    bad.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield bad
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        if running:
            await asyncio.wait(running)


def delta(*, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk as servers send it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}],
    }


def on_server(
    url: str, *, concurrency: int = 32, tokenizer: Path | None = None, api_key_env: str = ""
) -> tuple[ModelSpec, ...]:
    """Return the demo's models as models of this server."""
    source = ServerSource(url=url, concurrency=concurrency, tokenizer=tokenizer, api_key_env=api_key_env)
    return tuple(replace(spec, source=source) for spec in load_catalogue("demo"))
