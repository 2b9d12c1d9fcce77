"""Clients that take connections, or leave what they are sent unread, on a real server with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.connections import BODY_GRACE_S, ConnectionBounds, mark_signed_in
from chatbill.entrypoints.web.proxies import BehindProxies
from chatbill.entrypoints.web.slow_clients import BoundedProtocol, ClientTimeouts, protocol
from tests.kit.waiting import eventually

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = 8_000_000
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A server with bounds. `/wait` answers once `go` is set; `/big` and `/stream` answer with many bytes."""

    def __init__(self, bounds: ConnectionBounds, timeouts: ClientTimeouts) -> None:
        self.http: type[BoundedProtocol] = protocol(timeouts, bounds)
        self.go = asyncio.Event()
        self.waiting = 0
        self.unfinished = 0
        addresses = ClientAddresses.behind(bounds.trusted_proxies)
        self.app = BehindProxies(self.answer, addresses, per_address=bounds.per_address)
        self._streams: list[Stream] = []
        self.port = 0

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        response: Response = PlainTextResponse("fine")
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.go.wait()
        elif scope["path"] == "/signed-in":
            mark_signed_in(scope)
        elif scope["path"] == "/big":
            response = PlainTextResponse(b"x" * BIG)
        elif scope["path"] == "/stream":
            response = StreamingResponse(self.parts())
        elif scope["path"] == "/body":
            with contextlib.suppress(ClientDisconnect):
                await Request(scope, receive).body()
        await response(scope, receive, send)

    async def parts(self) -> AsyncIterator[bytes]:
        self.unfinished += 1
        try:
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0)
        finally:
            self.unfinished -= 1

    async def connect(self, request: bytes = b"", *, host: str = "127.0.0.1") -> Stream:
        """Connect from an address of this machine, and send the beginning of a request."""
        stream = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(host, 0))
        self._streams.append(stream)
        stream[1].write(request)
        return stream

    async def get(self, path: bytes = b"", *, host: str = "127.0.0.1") -> bytes:
        """Return the head of an answer; b"" if the server closes the connection without one."""
        reader, _ = await self.connect(GET % path, host=host)
        return await head_of(reader)

    def close(self) -> None:
        self.go.set()
        for _, writer in self._streams:
            writer.close()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    return b""


async def is_closed(stream: Stream) -> bool:
    """Return whether the server closes the connection soon without an answer."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        return not await asyncio.wait_for(stream[0].read(1), 0.3)
    return stream[0].at_eof() or stream[0].exception() is not None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def site(timeouts: ClientTimeouts | None = None, **bounds: Any) -> AsyncIterator[Site]:
    running = Site(ConnectionBounds(**bounds), timeouts or ClientTimeouts())
    config = uvicorn.Config(
        running.app, log_config=None, lifespan="off", ws="none", proxy_headers=False, http=running.http
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        running.port = sock.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await eventually(lambda: server.started)
        try:
            yield running
        finally:
            running.close()
            server.should_exit = True
            server.force_exit = True
            await serving


BEGINNINGS = {
    "silent": b"",
    "half-a-head": b"GET / HTTP/1.1\r\nHo",
    "half-a-body": b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123",
    "after-an-answer": GET % b"",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["same-address", "another-address"])
async def test_connections_that_wait_for_their_client_keep_no_place(beginning: bytes, host: str) -> None:
    async with site(in_all=10, per_address=8, spare=2) as here:
        for number in range(15):
            await here.connect(beginning, host=f"127.0.0.{10 + number % 2}" if host == "127.0.0.2" else host)
        await asyncio.sleep(BODY_GRACE_S + 0.1)
        assert len(here.http.counted) <= 12
        for _ in range(12):
            assert b"200 OK" in await here.get(host=host)


async def test_the_address_with_the_most_connections_loses_one_first() -> None:
    async with site(in_all=8, per_address=8, spare=2) as here:
        quiet = await here.connect(host="127.0.0.2")
        many = [await here.connect(host="127.0.0.3") for _ in range(9)]
        await here.connect(host="127.0.0.4")
        assert await is_closed(many[0])
        quiet[1].write(GET % b"")
        assert b"200 OK" in await head_of(quiet[0])


async def test_one_address_holds_no_more_silent_connections_than_its_bound_however_many_are_free() -> None:
    async with site(in_all=100, per_address=3, spare=2) as here:
        many = [await here.connect(host="127.0.0.3") for _ in range(5)]
        await eventually(lambda: len(here.http.counted) == 5)
        await here.connect(host="127.0.0.3")
        assert await is_closed(many[0])
        assert len(here.http.counted) == 5


@pytest.mark.parametrize("spare", [0, 64])
async def test_a_request_over_the_bounds_is_refused(spare: int) -> None:
    async with site(in_all=10, per_address=3, spare=spare) as here:
        for _ in range(3):
            await here.connect(GET % b"wait")
        await eventually(lambda: here.waiting == 3)
        refusal = await here.get()
        assert b"503 Service Unavailable" in refusal
        assert all(part in refusal.lower() for part in (b"retry-after: 1", b"connection: close", b"x-request-id: "))
        assert b"200 OK" in await here.get(host="127.0.0.2")
        for number in range(7):
            await here.connect(GET % b"wait", host=f"127.0.0.{10 + number}")
        await eventually(lambda: here.waiting == 10)
        assert b"503 Service Unavailable" in await here.get(host="127.0.0.2")


async def test_connections_of_signed_in_people_are_kept_while_others_can_be_dropped() -> None:
    async with site(in_all=4, per_address=4, spare=2) as here:
        reader, writer = await here.connect(GET % b"signed-in")
        assert b"200 OK" in await head_of(reader)
        for _ in range(9):
            await here.connect()
        await asyncio.sleep(0.1)
        await reader.readexactly(len("fine"))
        writer.write(GET % b"")
        assert b"200 OK" in await head_of(reader)


async def test_requests_over_the_bounds_that_come_at_once_are_all_answered() -> None:
    async with site(in_all=10, per_address=5) as here:
        asking = [asyncio.create_task(here.get(b"wait")) for _ in range(20)]
        await eventually(lambda: here.waiting == 5)
        await eventually(lambda: sum(task.done() for task in asking) == 15)
        here.go.set()
        statuses = [(await task).split()[1] for task in asking]
        assert sorted(statuses) == [b"200"] * 5 + [b"503"] * 15


async def test_requests_whose_bodies_do_not_come_make_room() -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    async with site(in_all=5, per_address=5) as here:
        stalled = [await here.connect(head) for _ in range(5)]
        assert b"503" in await here.get()
        await asyncio.sleep(BODY_GRACE_S)
        assert b"200" in await here.get()
        assert [await is_closed(stream) for stream in stalled] == [True] + [False] * 4


async def test_some_connections_are_not_counted() -> None:
    async with site(in_all=3, spare=0, uncounted=lambda: 2) as here:
        for _ in range(4):
            await here.connect(GET % b"wait")
        await eventually(lambda: here.waiting == 4)
        assert b"200 OK" in await here.get()


async def test_a_trusted_proxy_is_exempt_and_its_clients_are_counted_by_requests() -> None:
    forwarded = b"GET /%s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\n\r\n"
    async with site(in_all=20, per_address=3, trusted_proxies=("127.0.0.1",)) as here:
        for _ in range(3):
            await here.connect(forwarded % (b"wait", b"192.0.2.1"))
        await eventually(lambda: here.waiting == 3)
        for client, status in ((b"192.0.2.1", b"503"), (b"192.0.2.2", b"200")):
            reader, _ = await here.connect(forwarded % (b"", client))
            assert (await head_of(reader)).split()[1] == status


async def test_a_silent_client_is_disconnected_sooner_than_a_slow_one() -> None:
    async with site(ClientTimeouts(first_byte_s=0.2, receive_s=30)) as here:
        silent, slow = await here.connect(), await here.connect(b"GET ")
        assert b"408 Request Timeout" in await head_of(silent[0])
        slow[1].write(b"/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await head_of(slow[0])


@pytest.mark.parametrize("path", [b"big", b"stream"])
async def test_a_client_that_does_not_read_is_disconnected(path: bytes) -> None:
    async with site(ClientTimeouts(send_s=0.2)) as here:
        reader, writer = await here.connect(GET % path)
        transport: Any = writer.transport
        transport.pause_reading()
        await eventually(lambda: not len(here.http.counted))
        await eventually(lambda: here.unfinished == 0)
        assert not reader.at_eof()


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    async with site(ClientTimeouts(send_s=2)) as here:
        reader, _ = await here.connect(GET % b"big")
        await head_of(reader)
        got = 0
        while got < BIG:
            part = await reader.read(400_000)
            assert part, got
            got += len(part)
            await asyncio.sleep(0.06)


async def test_clients_leave_a_bounded_number_of_bytes_unread() -> None:
    async with site(unsent_bytes=2 * BIG) as here:
        readers = [await here.connect(GET % b"big") for _ in range(12)]
        for _, writer in readers:
            transport: Any = writer.transport
            transport.pause_reading()
        await eventually(lambda: len(here.http.counted) < 12)
        assert here.http.counted.unread_bytes <= 2 * BIG
