"""Replies in unusual streams: they are complete, and charged as the server counted."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from chatbill.application.chat.events import Completed, Delta, Failed, Stopped
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.interactions import Outcome
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


def whole(content: Any, *, kind: str = "application/json", **more: Any) -> Handler:
    """A server that ignores `stream` and answers with one JSON object."""

    async def handler(connection: Connection) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"} | more
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}, indent=1)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await connection.raw(head)
        for start in range(0, len(body), 40):
            await connection.raw(body[start : start + 40])
            await asyncio.sleep(0)

    return handler


async def whole_as_an_event(connection: Connection) -> None:
    await connection.head()
    choice = {"message": {"role": "assistant", "content": "one two three"}, "finish_reason": "stop"}
    await connection.event({"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
    await connection.event("[DONE]")


async def stream_of_another_type(connection: Connection) -> None:
    await connection.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\r\n")
    await connection.say("one", " two", " three")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def lists_of_parts(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(content=[{"type": "text", "text": "one"}]))
    await connection.event(delta(content=[{"type": "text", "text": " two"}, {"type": "text", "text": " three"}]))
    await connection.event(delta(content=[]))
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def lists_of_strings(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(content=["one", " two", " three"]))
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def thoughts_as_parts(connection: Connection) -> None:
    await connection.head()
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    await connection.event(delta(content=[thought]))
    await connection.event(delta(content=[thought, {"type": "text", "text": "one two three"}]))
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def null_content(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(role="assistant", content=None))
    await connection.event(delta(content=None, refusal=None))
    await connection.say("one", " two", " three")
    await connection.event(delta(content=None, finish_reason="stop"))
    await connection.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
    await connection.event("[DONE]")


async def a_refusal(connection: Connection) -> None:
    await connection.head()
    await connection.event(delta(role="assistant", content=None, refusal=""))
    for text in ("one", " two", " three"):
        await connection.event(delta(refusal=text))
    await connection.finish(prompt_tokens=12, completion_tokens=3)


def usage_in(place: str) -> Handler:
    async def handler(connection: Connection) -> None:
        usage = {"prompt_tokens": 12, "completion_tokens": 3}
        await connection.head()
        await connection.say("one", " two", " three")
        last = delta(finish_reason="stop")
        if place == "choice":
            last["choices"][0]["usage"] = usage
        else:
            last[place] = {"usage": usage}
        await connection.event(last)
        await connection.event("[DONE]")

    return handler


def ended_by(reason: Any) -> Handler:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say("one", " two", " three")
        await connection.event(delta(finish_reason=reason))
        await connection.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
        await connection.event("[DONE]")

    return handler


@pytest.mark.parametrize(
    "handler",
    [
        good,
        whole("one two three"),
        whole("one two three", kind="text/plain"),
        whole("one two three", kind="text/event-stream"),
        whole("one two three", finish_reason=None),
        whole([{"type": "text", "text": "one two"}, {"type": "text", "text": " three"}]),
        whole_as_an_event,
        stream_of_another_type,
        lists_of_parts,
        lists_of_strings,
        thoughts_as_parts,
        null_content,
        a_refusal,
        usage_in("choice"),
        usage_in("x_groq"),
        *map(ended_by, ("eos", "STOP", "tool_calls", "odd", 7)),
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


async def test_a_whole_reply_without_a_usage_is_counted_by_its_length() -> None:
    async def handler(connection: Connection) -> None:
        message = {"role": "assistant", "content": "word " * 80}
        await connection.refuse(200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}))

    async with scene(handler) as here:
        end = await here.end()

    assert isinstance(end, Completed)
    assert end.interaction.usage.completion_tokens == 100


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "sensitive"])
@pytest.mark.parametrize(("texts", "is_charged"), [((), False), (("one", " two"), True)])
async def test_a_reply_that_a_content_filter_ended_is_stopped_and_says_so(
    texts: tuple[str, ...], is_charged: bool, reason: str
) -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say(*texts)
        await connection.event(delta(finish_reason=reason))
        await connection.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
        await connection.event("[DONE]")

    async with scene(handler) as here:
        probes = here.server.probes
        end = await here.end(max_tokens=3)
        *_, streamed = await events_of(await here.send(max_tokens=3))
        assert here.server.probes == probes

    for each in (end, streamed):
        assert isinstance(each, Stopped)
        assert (each.interaction.outcome, each.interaction.error_code) == (Outcome.STOPPED, "content_filter")
        assert each.interaction.error_detail
        assert "content filter" in render(each.interaction.error_detail)
        assert each.interaction.reply == "".join(texts)
        assert (each.interaction.credits_charged > 0) is is_charged


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource", "network_error"])
async def test_a_reply_that_the_server_gave_up_is_a_failure(reason: str) -> None:
    async with scene(ended_by(reason)) as here:
        end = await here.end()

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)


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
    [
        ("stop", 3, False),
        ("length", 3, True),
        ("length", 2, True),
        ("tool_calls", 3, None),
        ("odd", 3, None),
        (None, 3, None),
    ],
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
