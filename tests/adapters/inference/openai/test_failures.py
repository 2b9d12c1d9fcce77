"""Servers that break a reply: it is free, and its error says nothing of the server."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from chatbill.adapters.inference.openai.dialect import ChatRequest
from chatbill.adapters.inference.openai.server import Server
from chatbill.application.chat.events import Failed
from chatbill.domain.chat.interactions import Outcome
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import Connection, Handler, delta, scripted_server
from tests.adapters.inference.openai.scene import MINI, QUICK, scene


async def wrong_json(connection: Connection) -> None:
    await connection.head()
    await connection.say("one")
    await connection.raw('data: {"choices": [{"delta": {"content": "tw\n\n')


async def not_an_object(connection: Connection) -> None:
    await connection.head()
    await connection.event("[1, 2]")


async def content_is_a_number(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(content=7))


async def not_utf8(connection: Connection) -> None:
    await connection.head()
    await connection.raw(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n')


async def half_a_chunk(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two")
    await connection.raw('data: {"choices": [{"del')


async def ends_in_the_middle(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")


async def nothing_but_done(connection: Connection) -> None:
    await connection.head()
    await connection.event("[DONE]")


async def error_500_before(connection: Connection) -> None:
    await connection.refuse(500, '{"error": {"message": "a secret of the server"}}')


async def error_after_three_tokens(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event({"error": {"message": "a secret of the server", "code": 500}})


async def error_as_text(connection: Connection) -> None:
    await connection.head()
    await connection.say("one")
    await connection.event({"error": "a secret of the server"})


async def finish_reason_error(connection: Connection) -> None:
    await connection.head()
    await connection.say("one")
    await connection.event(delta(finish_reason="error"))


async def reset_after_three_tokens(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await asyncio.sleep(0.05)
    connection.reset()


async def silent_from_the_start(connection: Connection) -> None:
    await connection.left()


async def silent_after_the_headers(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(role="assistant"))
    await connection.left()


async def silent_after_two_tokens(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two")
    await connection.left()


async def alive_but_dumb(connection: Connection) -> None:
    await connection.head()
    while True:
        await connection.raw(": still here\n\n")
        await asyncio.sleep(0.05)


async def content_length_too_long(connection: Connection) -> None:
    await connection.head(200, "Content-Length: 100000")
    await connection.say("one", " two")


async def content_length_too_short(connection: Connection) -> None:
    await connection.head(200, "Content-Length: 40")
    await connection.say("one", " two")


async def not_really_gzip(connection: Connection) -> None:
    await connection.head(200, "Content-Encoding: gzip")
    await connection.say("one", " two")


async def a_page(connection: Connection) -> None:
    await connection.raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Welcome</h1>")


async def a_redirect(connection: Connection) -> None:
    await connection.refuse(307, "", "Location: http://127.0.0.1:9/elsewhere")


async def not_http(connection: Connection) -> None:
    await connection.raw("220 smtp.example.org ready\r\n")


async def an_endless_line(connection: Connection) -> None:
    await connection.head()
    await connection.raw("data: ")
    while True:
        await connection.raw("x" * 65_536)
        await asyncio.sleep(0)


async def an_endless_event(connection: Connection) -> None:
    await connection.head()
    while True:
        await connection.raw("data: " + "x" * 65_536 + "\n")
        await asyncio.sleep(0)


async def many_headers(connection: Connection) -> None:
    await connection.raw("HTTP/1.1 200 OK\r\n")
    while True:
        await connection.raw("X-Header: " + "x" * 1_000 + "\r\n")
        await asyncio.sleep(0)


BROKEN = [
    (wrong_json, "is not JSON"),
    (not_an_object, "is not an object"),
    (content_is_a_number, "is not text"),
    (not_utf8, "is not UTF-8"),
    (half_a_chunk, "is not JSON"),
    (ends_in_the_middle, "ended before"),
    (nothing_but_done, "ended before"),
    (error_500_before, "answered 500"),
    (error_after_three_tokens, "error in the stream"),
    (error_as_text, "error in the stream"),
    (finish_reason_error, "with an error"),
    (reset_after_three_tokens, "ended before the reply was whole"),
    (silent_from_the_start, "no answer in time"),
    (silent_after_the_headers, "silent for too long"),
    (silent_after_two_tokens, "silent for too long"),
    (alive_but_dumb, "silent for too long"),
    (content_length_too_long, "stream broke"),
    (content_length_too_short, "no answer"),
    (not_really_gzip, "stream broke"),
    (a_page, "answered 200"),
    (a_redirect, "answered 307"),
    (not_http, "no answer"),
    (an_endless_line, "longer than"),
    (an_endless_event, "longer than"),
    (many_headers, "no answer"),
]


@pytest.mark.parametrize(("handler", "cause"), BROKEN)
async def test_a_broken_reply_is_free_and_its_error_does_not_mention_the_server(handler: Handler, cause: str) -> None:
    async with scene(handler) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end()

        assert [log["cause"] for log in logs if cause in log.get("cause", "")], logs
        assert isinstance(end, Failed), end
        assert (end.code, end.interaction.outcome) == ("generation_failed", Outcome.FAILED)
        assert end.interaction.credits_charged == 0
        assert "secret" not in render(end.description)
        assert "127.0.0.1" not in render(end.description)


async def a_refusal_without_an_end(connection: Connection) -> None:
    await connection.head(400)
    await connection.raw("the maximum context length is 512 tokens; " + "x" * 20_000)
    await connection.left()


async def test_a_refusal_without_an_end_is_read_up_to_a_bound_and_understood() -> None:
    async with scene(a_refusal_without_an_end) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert end.code == "context_length_exceeded"


async def test_the_time_that_a_reader_takes_is_no_silence_of_the_server() -> None:
    reader_is_back = asyncio.Event()

    async def waits_for_the_reader(connection: Connection) -> None:
        await connection.head()
        await connection.say("one")
        await reader_is_back.wait()
        await connection.say(" two")
        await connection.finish()

    texts = []
    async with scripted_server(waits_for_the_reader) as running:
        server = Server(running.url, None, timeouts=QUICK, max_connections=1)
        body = {"model": MINI, "messages": [{"role": "user", "content": "Hello"}]}
        async for chunk in server.chunks(ChatRequest(body=body, max_tokens=5)):
            texts.append(chunk.text)
            if chunk.text == "one":
                await asyncio.sleep(QUICK.between_tokens_s + 0.5)
                reader_is_back.set()
        await server.close()
    assert "".join(texts) == "one two"


async def test_text_delivered_before_a_failure_is_stored_and_free() -> None:
    async with scene(reset_after_three_tokens) as here:
        end = await here.end()

        assert (end.interaction.reply, end.interaction.credits_charged) == ("one two three", 0)
        assert len(here.server.asked) == 1, "what was delivered is not asked for again"
