"""Alerts to a webhook: signed, bounded in time, and never to a private address by a detour."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from chatbill.adapters.monitoring.webhook import DELIVERY, SIGNATURE, TIMESTAMP, Webhook
from chatbill.application.ports.notifier import NotDelivered
from tests.kit.rows import alert
from tests.kit.waiting import eventually

SECRET = "a secret of both sides"


@dataclass
class Receiver:
    """Reads requests, and answers each with these bytes; never, if there are none."""

    answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"
    port: int = 0
    open: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length:")[2].split()[0])
            self.bodies.append(await reader.readexactly(length))
            self.heads.append(head)
            if self.answer:
                writer.write(self.answer)
                await writer.drain()
            else:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.open -= 1


@contextlib.asynccontextmanager
async def receiver(answer: bytes = Receiver.answer) -> AsyncIterator[Receiver]:
    here = Receiver(answer)
    server = await asyncio.start_server(here.serve, "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    async with server:
        yield here
        await eventually(lambda: here.open == 0)


def header(head: str, name: str) -> str:
    return next(line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith(name.lower()))


async def test_an_alert_is_posted_with_a_signature_over_its_time_and_body() -> None:
    async with receiver() as here:
        hook = Webhook(f"http://127.0.0.1:{here.port}/hook", SECRET, allow_private=True, now=lambda: 1_700_000_000.9)
        await hook.send("job-1", "opened", alert())
    (head,), (body,) = here.heads, here.bodies
    assert header(head, TIMESTAMP) == "1700000000"
    assert header(head, DELIVERY) == "job-1"
    expected = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    assert header(head, SIGNATURE) == f"v1={expected}"
    told = json.loads(body)
    assert (told["change"], told["kind"], told["evidence"]) == ("opened", "model_unhealthy", {"reason": "model_silent"})
    assert (told["opened_at"], told["closed_at"]) == ("2026-01-01T12:00:00+00:00", None)


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as inside:
        elsewhere = f"http://127.0.0.1:{inside.port}/"
        answer = f"HTTP/1.1 307 There\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        async with receiver(answer) as here:
            with pytest.raises(NotDelivered, match="307"):
                await Webhook(f"http://127.0.0.1:{here.port}/", SECRET, allow_private=True).send("j", "opened", alert())
    assert inside.heads == []


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_a_receiver_that_hangs_or_fails_is_no_delivery(answer: bytes) -> None:
    async with receiver(answer) as here:
        hook = Webhook(f"http://127.0.0.1:{here.port}/", SECRET, allow_private=True, timeout_s=0.3)
        with pytest.raises(NotDelivered):
            await hook.send("j", "opened", alert())


async def test_an_endless_answer_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n"
    async with receiver(endless) as here:
        await Webhook(f"http://127.0.0.1:{here.port}/", SECRET, allow_private=True).send("j", "opened", alert())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433"],
)
async def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    async with receiver() as here:
        with pytest.raises(NotDelivered):
            await Webhook(f"http://{host}:{here.port}/", SECRET).send("j", "opened", alert())
    assert here.heads == []


async def test_the_error_quotes_no_address() -> None:
    with pytest.raises(NotDelivered) as refused:
        await Webhook("http://127.0.0.1:9/services/T000/secret", SECRET).send("j", "opened", alert())
    assert "secret" not in str(refused.value)
