"""Replies in unusual streams: they are complete, and charged as the server counted."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from chatbill.application.chat.events import Completed, Delta, Failed
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from tests.adapters.inference.fake_servers import Move, Wire, delta, eventually
from tests.adapters.inference.server_moves import SAID, good
from tests.adapters.inference.server_scene import PRICE, events_of, scene


async def slow(wire: Wire) -> None:
    await wire.head()
    for word in ("one", " two", " three"):
        await asyncio.sleep(0.4)
        await wire.say(word)
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def byte_by_byte(wire: Wire) -> None:
    await wire.head()
    events = [delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop")]
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    for event in (*events, usage):
        for byte in f"data: {json.dumps(event)}\r\n\r\n".encode():
            await wire.raw(bytes([byte]))
            await asyncio.sleep(0)
    await wire.raw("data: [DONE]\r\n\r\n")


def in_lines_that_end_with(end: str) -> Move:
    async def move(wire: Wire) -> None:
        await wire.head()
        events = [delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop")]
        usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
        lines = [f"data: {json.dumps(event)}{end}{end}" for event in (*events, usage)]
        for character in f": hello{end}{''.join(lines)}data: [DONE]{end}{end}":
            await wire.raw(character)
            await asyncio.sleep(0)

    return move


async def with_a_mark_of_byte_order(wire: Wire) -> None:
    await wire.head()
    for byte in b"\xef\xbb\xbf":
        await wire.raw(bytes([byte]))
        await asyncio.sleep(0.01)
    await wire.say("one", " two", " three")
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def kept_alive(wire: Wire) -> None:
    await wire.head()
    for word in ("one", " two", " three"):
        await wire.raw(": keep-alive\n\n:\n\nevent: chunk\nid: 7\nretry: 10\n")
        await wire.say(word)
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def two_lines_of_data(wire: Wire) -> None:
    await wire.head()
    await wire.raw('data: {"choices":\ndata: [{"delta": {"content": "one two three"}}]}\n\n')
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def empty_choices(wire: Wire) -> None:
    await wire.head()
    await wire.event({"choices": []})
    await wire.event({"choices": None, "usage": None})
    await wire.event({"object": "something.else"})
    await wire.event({"choices": [{"delta": None}]})
    await wire.say("one", " two", " three")
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def compressed(wire: Wire) -> None:
    events = (delta(content="one"), delta(content=" two"), delta(content=" three"), delta(finish_reason="stop"))
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    body = gzip.compress(f"{text}data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
    await wire.head(200, "Content-Encoding: gzip", f"Content-Length: {len(body)}")
    await wire.raw(body)


async def without_done(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event({**delta(finish_reason="stop"), "usage": {"prompt_tokens": 12, "completion_tokens": 3}})


async def without_the_last_blank_line(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    last = {**delta(finish_reason="stop"), "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    await wire.raw(f"data: {json.dumps(last)}")


async def open_for_ever_after_the_end(wire: Wire) -> None:
    await good(wire)
    await wire.left()


@pytest.mark.parametrize(
    "move",
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
async def test_unusual_but_complete_replies_are_charged_as_the_server_counted(move: Move) -> None:
    async with scene(move) as here:
        end = await here.end()

        assert isinstance(end, Completed), end
        assert end.interaction.reply.replace(" ", "") == "onetwothree"
        assert end.interaction.usage == SAID
        assert end.interaction.credits_charged == PRICE.of(SAID)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_a_long_reasoning_does_not_time_out(field: str) -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        for _ in range(8):
            await wire.event(delta(**{field: "hm"}))
            await asyncio.sleep(0.1)
        await wire.say("one", " two", " three")
        await wire.finish(prompt_tokens=12, completion_tokens=11)

    async with scene(move, first_token_s=0.3) as here:
        events = await events_of(await here.send())

    end = events[-1]
    assert isinstance(end, Completed), end
    assert next(event for event in events if isinstance(event, Delta)) == Delta("one", 1)
    assert (end.interaction.reply, end.interaction.usage.completion_tokens) == ("one two three", 11)


async def wrote_nothing(wire: Wire) -> None:
    await wire.head()
    await wire.event(delta(role="assistant", content=""))
    await wire.finish(prompt_tokens=12, completion_tokens=1)


async def only_thought(wire: Wire) -> None:
    await wire.head()
    await wire.event(delta(reasoning_content="hm"))
    await wire.event(delta(finish_reason="length"))
    await wire.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 30}})
    await wire.event("[DONE]")


@pytest.mark.parametrize("move", [wrote_nothing, only_thought])
async def test_an_empty_reply_is_free_and_the_model_is_probed(move: Move) -> None:
    async with scene(move) as here:
        probes = here.server.probes
        for _ in range(6):
            end = await here.end()
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
            assert "wrote nothing" in end.detail
        if move is wrote_nothing:
            await eventually(lambda: here.server.probes > probes)
        assert here.status.state is ModelState.READY


async def test_a_model_that_writes_nothing_for_a_probe_is_unavailable() -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.finish()

    async with scene(move) as here:
        here.server.probed = move
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
    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.say("one", " two")
        if reason:
            await wire.event(delta(finish_reason=reason))
        await wire.event({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": counted}})
        await wire.event("[DONE]")

    async with scene(move) as here:
        whole = await here.end(max_tokens=3)
        *_, streamed = await events_of(await here.send(max_tokens=3))

    for end in (whole, streamed):
        assert isinstance(end, Completed)
        assert end.cut_off is cut_off
        assert end.interaction.usage.completion_tokens == counted
