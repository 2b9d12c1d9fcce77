"""Requests whose end or header lines two programs could read differently are refused, and the connection closes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from typing import Any

import h11
import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from chatbill.entrypoints.web.connections import ConnectionBounds
from chatbill.entrypoints.web.slow_clients import MAX_HEAD_BYTES, ClientTimeouts, protocol
from chatbill.entrypoints.web.strict_requests import StrictBuffer, StrictConnection

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, *, receive_s: float = 5) -> AsyncIterator[int]:
    """Serve an application, and return the port."""
    http = protocol(ClientTimeouts(receive_s=receive_s), ConnectionBounds())
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http=http)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        task = asyncio.create_task(server.serve(sockets=[sock]))
        yield sock.getsockname()[1]
        server.should_exit = True
        await task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Return the port of an application that reads nothing."""
    async with serving(PlainTextResponse("fine")) as port:
        yield port


@pytest.fixture
async def quick_port() -> AsyncIterator[int]:
    """Return the port of an application that reads the body, on a server that waits a moment for it."""

    async def read(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(ClientDisconnect):
            await Request(scope, receive).body()

    async with serving(read, receive_s=0.1) as port:
        yield port


@pytest.fixture
async def begun_port() -> AsyncIterator[int]:
    """Return the port of an application that begins its answer before it reads."""

    async def begin(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(begin) as port:
        yield port


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
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\nX-Other: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        CHUNKED + b"0\r\nX-Trailer: y\n\r\n",
        CHUNKED + b"0\r\n\n",
        CHUNKED + b"1;name\rvalue\r\nx\r\n0\r\n\r\n",
    ],
    ids=[
        "length-and-chunks",
        "chunks-and-length",
        "chunks-in-1.0",
        "bare-lf",
        "one-bare-lf",
        "bare-lf-at-the-end",
        "bare-lf-in-trailers",
        "bare-lf-after-chunks",
        "bare-cr-in-extension",
    ],
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
        CHUNKED + b"3\r\na\nb\r\n0\r\n\r\n",
        CHUNKED + b"1;name=value\r\n\n\r\n0\r\nX-Trailer: y\r\n\r\n",
    ],
    ids=["no-body", "length", "chunks", "trailers"],
)
async def test_an_ordinary_request_and_the_one_behind_it_are_answered(port: int, request_bytes: bytes) -> None:
    answer = await answer_to(port, request_bytes)
    assert answer.count(b"HTTP/1.1 200 ") == 2


def problem_in(answer: bytes) -> dict[str, Any]:
    """Return the problem of an answer, whose request id is also in its head."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    problem: dict[str, Any] = json.loads(body)
    assert lines[0] == f"http/1.1 {problem['status']} {HTTPStatus(problem['status']).phrase.lower()}"
    assert {
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        f"x-request-id: {problem['request_id']}",
        "x-content-type-options: nosniff",
        "connection: close",
    } <= set(lines)
    return problem


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", CHUNKED + b"0\r\n\n"], ids=["head", "trailers"])
async def test_an_answer_to_what_is_no_request_is_a_problem_with_a_request_id(port: int, sent: bytes) -> None:
    problem = problem_in(await answer_to(port, sent))
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert problem["errors"][0]["field"] == "request"
    assert len(problem["request_id"]) == 32


async def test_an_answer_about_a_body_has_the_request_id_of_its_head(port: int) -> None:
    head = CHUNKED.replace(b"Host: x", b"Host: x\r\nX-Request-Id: mine")
    assert problem_in(await answer_to(port, head + b"no size\r\n"))["request_id"] == "mine"


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HT", HEAD + b"Content-Length: 9\r\n\r\n"], ids=["nothing", "head", "body"]
)
async def test_an_answer_to_a_request_that_does_not_come_is_a_problem_too(quick_port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", quick_port)
    writer.write(sent)
    problem = problem_in(await asyncio.wait_for(reader.read(), 10))
    writer.close()
    assert (problem["status"], problem["code"]) == (408, "request_timeout")


async def test_an_answer_that_has_begun_is_broken_off_where_the_rest_of_the_request_is_ambiguous(
    begun_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", begun_port)
    writer.write(CHUNKED)
    answer = await asyncio.wait_for(reader.readuntil(b"begun"), 10)
    writer.write(b"0\r\n\n")
    assert await asyncio.wait_for(reader.read(), 10) == b"\r\n"
    writer.close()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def events_of(received: bytes, cuts: Iterable[int]) -> list[Any]:
    """Return the events that a connection makes of bytes that come in packets, up to the end or the first error."""
    connection = StrictConnection(h11.SERVER)
    events: list[Any] = []
    edges = [0, *sorted(cuts), len(received)]
    for start, end in itertools.pairwise(edges):
        if start == end:
            continue
        connection.receive_data(received[start:end])
        try:
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                events.append(event)
        except h11.RemoteProtocolError as error:
            return [*events, error]
    return events


LINES = (b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked", b"")
CHUNKS = (b"2;name=value", b"a\n", b"1", b"\n", b"0", b"X-Trailer: y", b"X-Other: z", b"")
CUTS = st.sets(st.integers(0, len(b"\r\n".join(LINES + CHUNKS)) + 2))


@given(cuts=CUTS)
@example(cuts=set(range(200)))
def test_packets_may_end_anywhere_in_a_request(cuts: set[int]) -> None:
    received = b"\r\n".join([*LINES, *CHUNKS, b""])
    events = events_of(received, [cut for cut in cuts if cut < len(received)])
    assert b"".join(event.data for event in events if isinstance(event, h11.Data)) == b"a\n\n"
    assert isinstance(events[-1], h11.EndOfMessage)
    assert list(events[-1].headers) == [(b"x-trailer", b"y"), (b"x-other", b"z")]


@given(cuts=CUTS, line=st.integers(0, len(LINES + CHUNKS) - 1))
def test_a_bare_lf_is_refused_after_any_line_and_however_it_is_cut(cuts: set[int], line: int) -> None:
    ends = [b"\n" if index == line else b"\r\n" for index in range(len(LINES + CHUNKS))]
    received = b"".join(text + end for text, end in zip(LINES + CHUNKS, ends, strict=True))
    events = events_of(received, [cut for cut in cuts if cut < len(received)])
    assert isinstance(events[-1], h11.RemoteProtocolError)


@given(cuts=CUTS)
def test_a_bare_lf_in_the_extension_of_a_chunk_is_refused(cuts: set[int]) -> None:
    received = CHUNKED + b"1;name\nvalue\r\n\n\r\n0\r\n\r\n"
    events = events_of(received, [cut for cut in cuts if cut < len(received)])
    assert isinstance(events[-1], h11.RemoteProtocolError)


class CountedBytes(bytearray):
    """Received bytes that count how many of them were looked at."""

    looked_at = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        """Count the bytes between the start and the place that was found."""
        found = super().find(sub, start, end)
        self.looked_at += (len(self) if found < 0 else found + len(sub)) - start
        return found


class CountedBuffer(StrictBuffer):
    """A buffer that counts the bytes that were looked at or copied as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self._data = self.counted = CountedBytes()

    def __bytes__(self) -> bytes:
        self.counted.looked_at += len(self)
        return super().__bytes__()


@pytest.mark.parametrize(
    ("head", "packets"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", [b"x"] * 6_000),
        (CHUNKED, [b"1\r\n\n\r\n" * 1_000]),
        (CHUNKED + b"0\r\nX-Long: ", [b"x"] * 6_000),
    ],
    ids=["head", "chunks-of-one-byte", "trailers"],
)
def test_no_byte_is_looked_at_often(head: bytes, packets: list[bytes]) -> None:
    connection = StrictConnection(h11.SERVER, MAX_HEAD_BYTES)
    buffer = connection._receive_buffer = CountedBuffer()
    for packet in [head, *packets]:
        connection.receive_data(packet)
        while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass
    assert buffer.counted.looked_at <= 4 * (len(head) + sum(map(len, packets)))
