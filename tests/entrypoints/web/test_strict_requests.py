"""Requests whose end or header lines two programs could read differently are refused, and the connection closes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from chatbill.entrypoints.web.connections import ConnectionBounds
from chatbill.entrypoints.web.slow_clients import ClientTimeouts, protocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve an application that reads nothing, and return the port."""
    app: Any = PlainTextResponse("fine")
    http = protocol(ClientTimeouts(receive_s=5), ConnectionBounds())
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http=http)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        yield sock.getsockname()[1]
        server.should_exit = True
        await serving


async def answer_to(port: int, request: bytes) -> bytes:
    """Send a request with another one behind it, and return all answers until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request + b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nX-Other: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    ],
    ids=["length-and-chunks", "chunks-and-length", "bare-lf", "one-bare-lf", "bare-lf-at-the-end"],
)
async def test_an_ambiguous_request_gets_400_and_the_connection_closes(port: int, request_bytes: bytes) -> None:
    answer = await answer_to(port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: 5\r\n\r\na\nb\nc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n",
    ],
    ids=["no-body", "length", "chunks"],
)
async def test_an_ordinary_request_and_the_one_behind_it_are_answered(port: int, request_bytes: bytes) -> None:
    answer = await answer_to(port, request_bytes)
    assert answer.count(b"HTTP/1.1 200 ") == 2
