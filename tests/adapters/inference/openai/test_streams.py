"""Replies in unusual streams: they are complete, and charged as the server counted."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from chatbill.application.chat.events import Completed, Delta, Failed
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import Connection, Handler, delta
from tests.adapters.inference.openai.handlers import SAID, good
from tests.adapters.inference.openai.scene import PRICE, events_of, scene
from tests.kit.waiting import eventually


async def slow(connection: Connection) -> None:
    await connection.head()
    for word in ("one", " two", " three"):
        await asyncio.sleep(0.4)
        await connection.say(word)
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def byte_by_byte(connection: Connection) -> None:
    await connection.head()
    events = [delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop")]
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    for event in (*events, usage):
        for byte in f"data: {json.dumps(event)}\r\n\r\n".encode():
            await connection.raw(bytes([byte]))
            await asyncio.sleep(0)
    await connection.raw("data: [DONE]\r\n\r\n")


def in_lines_that_end_with(end: str) -> Handler:
    async def handler(connection: Connection) -> None:
        await connection.head()
        events = [delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop")]
        usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
        lines = [f"data: {json.dumps(event)}{end}{end}" for event in (*events, usage)]
        for character in f": hello{end}{''.join(lines)}data: [DONE]{end}{end}":
            await connection.raw(character)
            await asyncio.sleep(0)

    return handler


async def with_a_mark_of_byte_order(connection: Connection) -> None:
    await connection.head()
    for byte in b"\xef\xbb\xbf":
        await connection.raw(bytes([byte]))
        await asyncio.sleep(0.01)
    await connection.say("one", " two", " three")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def kept_alive(connection: Connection) -> None:
    await connection.head()
    for word in ("one", " two", " three"):
        await connection.raw(": keep-alive\n\n:\n\nevent: chunk\nid: 7\nretry: 10\n")
        await connection.say(word)
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def two_lines_of_data(connection: Connection) -> None:
    await connection.head()
    await connection.raw('data: {"choices":\ndata: [{"delta": {"content": "one two three"}}]}\n\n')
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def empty_choices(connection: Connection) -> None:
    await connection.head()
    await connection.event({"choices": []})
    await connection.event({"choices": None, "usage": None})
    await connection.event({"object": "something.else"})
    await connection.event({"choices": [{"delta": None}]})
    await connection.say("one", " two", " three")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def compressed(connection: Connection) -> None:
    events = (delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop"))
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    body = gzip.compress(f"{text}data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
    await connection.head(200, "Content-Encoding: gzip", f"Content-Length: {len(body)}")
    await connection.raw(body)


async def without_done(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event({**delta(finish_reason="stop"), "usage": {"prompt_tokens": 12, "completion_tokens": 3}})


async def without_the_last_blank_line(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    last = {**delta(finish_reason="stop"), "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    await connection.raw(f"data: {json.dumps(last)}")


async def open_for_ever_after_the_end(connection: Connection) -> None:
    await good(connection)
    await connection.left()


@pytest.mark.parametrize(
    "handler",
    [
        good,
        slow,
        byte_by_byte,
        *map(in_lines_that_end_with, ("\r", "\n", "\r\n")),
        with_a_mark_of_byte_order,
        kept_alive,
        two_lines_of_data,
        empty_choices,
        compressed,
        without_done,
        without_the_last_blank_line,
        open_for_ever_after_the_end,
    ],
)
async def test_unusual_but_complete_replies_are_charged_as_the_server_counted(handler: Handler) -> None:
    async with scene(handler) as here:
        end = await here.end()

        assert isinstance(end, Completed), end
        assert end.interaction.reply.replace(" ", "") == "onetwothree"
        assert end.interaction.usage == SAID
        assert end.interaction.credits_charged == PRICE.of(SAID)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_a_long_reasoning_does_not_time_out(field: str) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        for _ in range(8):
            await connection.event(delta(**{field: "hm"}))
            await asyncio.sleep(0.1)
        await connection.say("one", " two", " three")
        await connection.finish(prompt_tokens=12, completion_tokens=11)

    async with scene(handler, first_token_s=0.3) as here:
        events = await events_of(await here.send())

    end = events[-1]
    assert isinstance(end, Completed), end
    assert next(event for event in events if isinstance(event, Delta)) == Delta("one", 1)
    assert (end.interaction.reply, end.interaction.usage.completion_tokens) == ("one two three", 11)


async def wrote_nothing(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(role="assistant", content=""))
    await connection.finish(prompt_tokens=12, completion_tokens=1)


async def only_thought(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(reasoning_content="hm"))
    await connection.event(delta(finish_reason="length"))
    await connection.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 30}})
    await connection.event("[DONE]")


@pytest.mark.parametrize("handler", [wrote_nothing, only_thought])
async def test_an_empty_reply_is_free_and_the_model_is_probed(handler: Handler) -> None:
    async with scene(handler) as here:
        probes = here.server.probes
        for _ in range(6):
            end = await here.end()
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
            assert "wrote nothing" in render(end.description)
        if handler is wrote_nothing:
            await eventually(lambda: here.server.probes > probes)
        assert here.status.state is ModelState.READY


async def test_a_model_that_writes_nothing_for_a_probe_is_unavailable() -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.finish()

    async with scene(handler) as here:
        here.server.probed = handler
        assert isinstance(await here.end(), Failed)
        await eventually(lambda: here.status.state is ModelState.UNAVAILABLE)


async def test_a_reply_that_a_stop_string_ended_at_once_is_complete() -> None:
    async with scene(wrote_nothing) as here:
        end = await here.end(stop=("END",))

    assert isinstance(end, Completed)
    assert end.interaction.usage == Usage(prompt_tokens=12, completion_tokens=1)


@pytest.mark.parametrize(
    ("reason", "counted", "cut_off"),
    [("stop", 3, False), ("length", 3, True), ("length", 2, True), ("content_filter", 3, None), (None, 3, None)],
)
async def test_the_finish_reason_of_a_server_decides_whether_a_reply_was_cut_off(
    reason: str | None, counted: int, cut_off: bool | None
) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say("one", " two")
        if reason:
            await connection.event(delta(finish_reason=reason))
        await connection.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": counted}})
        await connection.event("[DONE]")

    async with scene(handler) as here:
        whole = await here.end(max_tokens=3)
        *_, streamed = await events_of(await here.send(max_tokens=3))

    for end in (whole, streamed):
        assert isinstance(end, Completed)
        assert end.cut_off is cut_off
        assert end.interaction.usage.completion_tokens == counted
