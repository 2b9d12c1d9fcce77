"""What users wrote stays out of the log, also where a server quotes it."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from chatbill.adapters.inference.openai.dialect import ChatRequest
from chatbill.adapters.inference.openai.server import Server
from chatbill.application.chat.events import Failed
from tests.adapters.inference.openai.fake_servers import Connection, Handler, scripted_server
from tests.adapters.inference.openai.scene import MINI, QUICK, scene
from tests.kit.waiting import eventually

SECRET = "my boss is called Gudrun"


async def quotes_in_a_refusal(connection: Connection) -> None:
    await connection.refuse(400, json.dumps({"error": {"message": f"cannot read {SECRET!r}", "code": "odd_input"}}))


async def quotes_in_detail(connection: Connection) -> None:
    await connection.refuse(422, json.dumps({"detail": f"input: {SECRET}"}))


async def quotes_in_a_page(connection: Connection) -> None:
    await connection.refuse(500, f"<p>{SECRET}</p>")


async def quotes_as_a_code(connection: Connection) -> None:
    await connection.refuse(404, json.dumps({"error": {"code": SECRET, "type": f"{SECRET}!", "message": ""}}))


async def quotes_in_the_stream(connection: Connection) -> None:
    await connection.head()
    await connection.event({"error": {"message": SECRET, "code": 500}})


async def quotes_in_nonsense(connection: Connection) -> None:
    await connection.head()
    await connection.event(f"{{oops: {SECRET}")


async def quotes_in_a_list(connection: Connection) -> None:
    await connection.head()
    await connection.event(json.dumps([SECRET]))


async def quotes_before_any_http(connection: Connection) -> None:
    await connection.raw(f"{SECRET}\r\n\r\n")


async def quotes_as_a_header(connection: Connection) -> None:
    await connection.raw(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n")


@pytest.mark.parametrize(
    ("handler", "cause"),
    [
        (quotes_in_a_refusal, "answered 400: odd_input, 48 characters"),
        (quotes_in_detail, "answered 422: 31 characters"),
        (quotes_in_a_page, "answered 500: 31 characters"),
        (quotes_as_a_code, "answered 404: 50 characters"),
        (quotes_in_the_stream, "error in the stream: 500, 28 characters"),
        (quotes_in_nonsense, "an event of 31 characters is not JSON"),
        (quotes_in_a_list, "an event of 28 characters is not an object"),
        (quotes_before_any_http, "no answer: "),
        (quotes_as_a_header, "no answer: "),
    ],
)
async def test_the_text_of_a_user_is_never_logged(
    handler: Handler, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(handler) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end(SECRET)

    assert isinstance(end, Failed)
    assert "Gudrun" not in f"{logs} {caplog.text}"
    assert logs[0]["cause"].startswith(cause), logs
    assert "Traceback" in caplog.text


async def test_the_answer_of_a_server_to_a_probe_is_logged_in_full() -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(404, json.dumps({"error": {"message": "no such model: demo-mini", "code": "unknown"}}))

    with structlog.testing.capture_logs() as logs:
        async with scene(handler) as here:
            here.server.probed = handler
            await here.end()
            await eventually(lambda: any(log["event"] == "model_unavailable" for log in logs))
            await asyncio.sleep(1.2)

    assert [log["cause"] for log in logs if "cause" in log] == [
        "answered 404: unknown, 32 characters",
        "answered 404: unknown no such model: demo-mini",
    ]


async def test_a_server_cannot_connect_requests_of_people_by_a_cookie() -> None:
    async def sets_a_cookie(connection: Connection) -> None:
        await connection.head(200, "Set-Cookie: person=7; Path=/")
        await connection.say("ok")
        await connection.finish()

    async with scripted_server(sets_a_cookie) as running:
        # No client keeps cookies of a host that is a number.
        server = Server(running.url.replace("127.0.0.1", "localhost"), None, timeouts=QUICK, max_connections=1)
        for text in ("one", "two"):
            body = {"model": MINI, "messages": [{"role": "user", "content": text}]}
            assert [chunk.text async for chunk in server.chunks(ChatRequest(body=body, max_tokens=5))]
        await server.close()
    assert ["cookie:" in asked["head"] for asked in running.asked] == [False, False]
