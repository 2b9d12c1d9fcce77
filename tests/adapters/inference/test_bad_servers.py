"""Servers that misbehave, over real sockets: what each costs, and what the person and the log are told."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from typing import Any

import pytest
import structlog

from chatbill.application.chat.events import Completed, Delta, Failed, Stopped
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.chat.interactions import Outcome
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable, TooLarge
from tests.adapters.inference.fake_servers import Move, Wire, delta, eventually
from tests.adapters.inference.server_scene import PRICE, QUICK, events_of, scene

SAID = Usage(prompt_tokens=12, completion_tokens=3)
LIKELY_PROMPT = 3 + 4 + 3
"""What "Hello there" is likely to be: a token for four bytes, four around the message, three around them all."""


async def good(wire: Wire) -> None:
    await wire.head()
    await wire.event(delta(role="assistant", content=""))
    await wire.say("one", " two", " three")
    await wire.finish(prompt_tokens=12, completion_tokens=3)


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
async def test_odd_but_whole_replies_are_charged_as_the_server_counted(move: Move) -> None:
    async with scene(move) as here:
        end = await here.end()

        assert isinstance(end, Completed), end
        assert end.interaction.reply.replace(" ", "") == "onetwothree"
        assert end.interaction.usage == SAID
        assert end.interaction.credits_charged == PRICE.of(SAID)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_a_model_that_thinks_for_long_is_waited_for(field: str) -> None:
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
async def test_a_reply_without_a_word_is_free_and_the_model_is_probed(move: Move) -> None:
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


async def test_a_model_that_writes_nothing_for_anybody_is_out() -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.finish()

    async with scene(move) as here:
        here.server.probed = move
        assert isinstance(await here.end(), Failed)
        await eventually(lambda: here.status.state is ModelState.UNAVAILABLE)


async def test_a_reply_that_a_stop_string_ended_at_once_is_whole() -> None:
    async with scene(wrote_nothing) as here:
        end = await here.end(stop=("END",))

    assert isinstance(end, Completed)
    assert end.interaction.usage == Usage(prompt_tokens=12, completion_tokens=1)


async def no_usage(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.finish()


async def usage_null(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event({**delta(finish_reason="stop"), "usage": None})
    await wire.event("[DONE]")


async def usage_nonsense(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event(delta(finish_reason="stop"))
    await wire.event({"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": "many"}})
    await wire.event("[DONE]")


async def silent_after_the_finish(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event(delta(finish_reason="stop"))
    await wire.left()


async def reset_after_the_finish(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event(delta(finish_reason="stop"))
    await asyncio.sleep(0.05)
    wire.reset()


async def done_without_a_finish(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event("[DONE]")


@pytest.mark.parametrize(
    "move",
    [no_usage, usage_null, usage_nonsense, silent_after_the_finish, reset_after_the_finish, done_without_a_finish],
)
async def test_without_a_count_of_the_servers_own_the_parts_are_counted(move: Move) -> None:
    async with scene(move) as here:
        end = await here.end()

        assert isinstance(end, Completed), end
        counted = Usage(prompt_tokens=LIKELY_PROMPT, completion_tokens=3)
        assert (end.interaction.reply, end.interaction.usage) == ("one two three", counted)
        assert end.interaction.credits_charged == PRICE.of(counted)


async def lies_about_usage(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.finish(prompt_tokens=1_000_000, completion_tokens=1_000_000)


async def test_a_server_that_counts_wildly_gets_no_more_than_the_hold() -> None:
    async with scene(lies_about_usage) as here:
        reply = await here.send(max_tokens=10)
        end = await reply.finished()
        await here.check(end)

        assert end.interaction.usage.completion_tokens == 10
        assert end.interaction.credits_charged == reply.accepted.held


async def never_ends(wire: Wire) -> None:
    await wire.head()
    for _ in range(100_000):
        await wire.say("word ")
        await asyncio.sleep(0)


async def test_a_server_that_does_not_know_where_to_end_is_cut_off() -> None:
    async with scene(never_ends) as here:
        end = await here.end(max_tokens=5)

        assert isinstance(end, Completed)
        assert end.interaction.usage.completion_tokens == 5
        assert end.interaction.reply.count("word") <= 2 * 5 + 17


async def test_tokens_that_are_too_long_to_be_true_are_free_and_not_kept() -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        for _ in range(200):
            await wire.say("x" * 900_000)
        await wire.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(move) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end(max_tokens=100)

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
    assert len(end.interaction.reply) < 100 * 1_000
    assert "characters" in logs[0]["cause"]


async def test_a_reply_of_long_tokens_is_whole() -> None:
    """A run of blanks can be one token."""

    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.say(*[" " * 128] * 512)
        await wire.finish(prompt_tokens=12, completion_tokens=512)

    async with scene(move) as here:
        end = await here.end(max_tokens=512)

    assert isinstance(end, Completed)
    assert len(end.interaction.reply) == 512 * 128


async def more_parts_than_tokens(wire: Wire) -> None:
    await wire.head()
    await wire.say(*"abcdefgh")
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def test_a_server_that_cuts_tokens_to_pieces_is_believed_its_count() -> None:
    async with scene(more_parts_than_tokens) as here:
        reply = await here.send(max_tokens=4)
        events = await events_of(reply)

        assert "".join(event.text for event in events if isinstance(event, Delta)) == "abcdefgh"
        assert sum(event.tokens for event in events if isinstance(event, Delta)) <= 4
        assert events[-1] == await reply.finished()
        assert (await reply.finished()).interaction.usage == SAID


async def fewer_parts_than_tokens(wire: Wire) -> None:
    await wire.head()
    await wire.say("one two three")
    await wire.finish(prompt_tokens=12, completion_tokens=3)


async def test_tokens_that_came_together_are_counted_in_the_pieces_too() -> None:
    async with scene(fewer_parts_than_tokens) as here:
        events = await events_of(await here.send())

        assert sum(event.tokens for event in events if isinstance(event, Delta)) == 3


async def test_characters_that_are_cut_in_two_arrive_whole() -> None:
    line_separator = "\u2028"

    async def move(wire: Wire) -> None:
        await wire.head()
        text = f"naïve 😀{line_separator}日本語"
        for byte in f"data: {json.dumps(delta(content=text), ensure_ascii=False)}\n\n".encode():
            await wire.raw(bytes([byte]))
            await asyncio.sleep(0)
        await wire.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(move) as here:
        assert (await here.end()).interaction.reply == f"naïve 😀{line_separator}日本語"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["a\ud83d", "\ude00b"], "a\U0001f600b"),
        (["a\ud83d", "", "\ude00b"], "a\U0001f600b"),
        (["a\ud800b", "c"], "a\ufffdbc"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["a", "\ude00b"], "a\ufffdb"),
        (["a", "\ud83d"], "a\ufffd"),
        (["a\u0000b"], "a\ufffdb"),
    ],
)
@pytest.mark.parametrize("max_tokens", [1, 2, 3, 100])
async def test_halves_of_a_character_are_joined_or_replaced_in_the_stream_as_in_the_record(
    parts: list[str], text: str, max_tokens: int
) -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        for part in parts:
            await wire.raw(f"data: {json.dumps(delta(content=part))}\n\n")
        await wire.finish(prompt_tokens=12, completion_tokens=min(3, max_tokens))

    async with scene(move) as here:
        # A request for one token is a probe to this server.
        here.server.probed = move
        events = await events_of(await here.send(max_tokens=max_tokens))

    deltas = [event for event in events if isinstance(event, Delta)]
    assert isinstance(events[-1], Completed)
    assert "".join(delta.text for delta in deltas) == events[-1].interaction.reply == text
    assert sum(delta.tokens for delta in deltas) <= max_tokens


async def test_a_stop_string_is_found_whose_character_came_in_halves() -> None:
    async def move(wire: Wire) -> None:
        await wire.head()
        for part in ("a\ud83d", "\ude00b"):
            await wire.raw(f"data: {json.dumps(delta(content=part))}\n\n")
        await wire.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(move) as here:
        assert (await here.end(stop=("\U0001f600",))).interaction.reply == "a"


async def wrong_json(wire: Wire) -> None:
    await wire.head()
    await wire.say("one")
    await wire.raw('data: {"choices": [{"delta": {"content": "tw\n\n')


async def not_an_object(wire: Wire) -> None:
    await wire.head()
    await wire.event("[1, 2]")


async def content_is_a_number(wire: Wire) -> None:
    await wire.head()
    await wire.event(delta(content=7))


async def not_utf8(wire: Wire) -> None:
    await wire.head()
    await wire.raw(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n')


async def half_a_chunk(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two")
    await wire.raw('data: {"choices": [{"del')


async def ends_in_the_middle(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")


async def nothing_but_done(wire: Wire) -> None:
    await wire.head()
    await wire.event("[DONE]")


async def error_500_before(wire: Wire) -> None:
    await wire.refuse(500, '{"error": {"message": "a secret of the server"}}')


async def error_after_three_tokens(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await wire.event({"error": {"message": "a secret of the server", "code": 500}})


async def error_as_text(wire: Wire) -> None:
    await wire.head()
    await wire.say("one")
    await wire.event({"error": "a secret of the server"})


async def finish_reason_error(wire: Wire) -> None:
    await wire.head()
    await wire.say("one")
    await wire.event(delta(finish_reason="error"))


async def reset_after_three_tokens(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two", " three")
    await asyncio.sleep(0.05)
    wire.reset()


async def silent_from_the_start(wire: Wire) -> None:
    await wire.left()


async def silent_after_the_headers(wire: Wire) -> None:
    await wire.head()
    await wire.event(delta(role="assistant"))
    await wire.left()


async def silent_after_two_tokens(wire: Wire) -> None:
    await wire.head()
    await wire.say("one", " two")
    await wire.left()


async def alive_but_dumb(wire: Wire) -> None:
    await wire.head()
    while True:
        await wire.raw(": still here\n\n")
        await asyncio.sleep(0.05)


async def content_length_too_long(wire: Wire) -> None:
    await wire.head(200, "Content-Length: 100000")
    await wire.say("one", " two")


async def content_length_too_short(wire: Wire) -> None:
    await wire.head(200, "Content-Length: 40")
    await wire.say("one", " two")


async def not_really_gzip(wire: Wire) -> None:
    await wire.head(200, "Content-Encoding: gzip")
    await wire.say("one", " two")


async def a_page(wire: Wire) -> None:
    await wire.raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>Welcome</h1>")


async def a_redirect(wire: Wire) -> None:
    await wire.refuse(307, "", "Location: http://127.0.0.1:9/elsewhere")


async def not_http(wire: Wire) -> None:
    await wire.raw("220 smtp.example.org ready\r\n")


async def an_endless_line(wire: Wire) -> None:
    await wire.head()
    await wire.raw("data: ")
    while True:
        await wire.raw("x" * 65_536)
        await asyncio.sleep(0)


async def an_endless_event(wire: Wire) -> None:
    await wire.head()
    while True:
        await wire.raw("data: " + "x" * 65_536 + "\n")
        await asyncio.sleep(0)


async def many_headers(wire: Wire) -> None:
    await wire.raw("HTTP/1.1 200 OK\r\n")
    while True:
        await wire.raw("X-Header: " + "x" * 1_000 + "\r\n")
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


@pytest.mark.parametrize(("move", "cause"), BROKEN)
async def test_what_breaks_is_free_and_says_nothing_of_the_server(move: Move, cause: str) -> None:
    async with scene(move) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end()

        assert [log["cause"] for log in logs if cause in log.get("cause", "")], logs
        assert isinstance(end, Failed), end
        assert (end.code, end.interaction.outcome) == ("generation_failed", Outcome.FAILED)
        assert end.interaction.credits_charged == 0
        assert "secret" not in end.detail
        assert "127.0.0.1" not in end.detail


SECRET = "my boss is called Gudrun"


async def quotes_in_a_refusal(wire: Wire) -> None:
    await wire.refuse(400, json.dumps({"error": {"message": f"cannot read {SECRET!r}", "code": "odd_input"}}))


async def quotes_in_detail(wire: Wire) -> None:
    await wire.refuse(422, json.dumps({"detail": f"input: {SECRET}"}))


async def quotes_in_a_page(wire: Wire) -> None:
    await wire.refuse(500, f"<p>{SECRET}</p>")


async def quotes_as_a_code(wire: Wire) -> None:
    await wire.refuse(404, json.dumps({"error": {"code": SECRET, "type": f"{SECRET}!", "message": ""}}))


async def quotes_in_the_stream(wire: Wire) -> None:
    await wire.head()
    await wire.event({"error": {"message": SECRET, "code": 500}})


async def quotes_in_nonsense(wire: Wire) -> None:
    await wire.head()
    await wire.event(f"{{oops: {SECRET}")


async def quotes_in_a_list(wire: Wire) -> None:
    await wire.head()
    await wire.event(json.dumps([SECRET]))


async def quotes_before_any_http(wire: Wire) -> None:
    await wire.raw(f"{SECRET}\r\n\r\n")


async def quotes_as_a_header(wire: Wire) -> None:
    await wire.raw(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n")


@pytest.mark.parametrize(
    ("move", "cause"),
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
async def test_what_a_person_wrote_never_gets_into_the_log(
    move: Move, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with scene(move) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end(SECRET)

    assert isinstance(end, Failed)
    assert "Gudrun" not in f"{logs} {caplog.text}"
    assert logs[0]["cause"].startswith(cause), logs
    assert "Traceback" in caplog.text


async def test_what_a_server_says_to_a_probe_is_logged_in_its_words() -> None:
    async def move(wire: Wire) -> None:
        await wire.refuse(404, json.dumps({"error": {"message": "no such model: demo-mini", "code": "unknown"}}))

    with structlog.testing.capture_logs() as logs:
        async with scene(move) as here:
            here.server.probed = move
            await here.end()
            await eventually(lambda: any(log["event"] == "model_unavailable" for log in logs))
            await asyncio.sleep(1.2)

    assert [log["cause"] for log in logs if "cause" in log] == [
        "answered 404: unknown, 32 characters",
        "answered 404: unknown no such model: demo-mini",
    ]


@pytest.mark.parametrize(
    ("reason", "counted", "cut_off"),
    [("stop", 3, False), ("length", 3, True), ("length", 2, True), ("content_filter", 3, None), (None, 3, None)],
)
async def test_a_server_knows_best_why_a_reply_ended(reason: str | None, counted: int, cut_off: bool | None) -> None:
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


async def test_what_was_delivered_before_it_broke_is_kept_and_free() -> None:
    async with scene(reset_after_three_tokens) as here:
        end = await here.end()

        assert (end.interaction.reply, end.interaction.credits_charged) == ("one two three", 0)
        assert len(here.server.asked) == 1, "what was delivered is not asked for again"


@pytest.mark.parametrize(("status", "code"), [(402, "why"), (404, "why"), (429, "insufficient_quota")])
async def test_a_server_that_does_not_know_the_model_or_wants_to_be_paid_makes_it_unavailable(
    status: int, code: str
) -> None:
    async def move(wire: Wire) -> None:
        words = '{"error": {"message": "no such thing as key s3cret-key here", "code": "CODE"}}'
        await wire.refuse(status, words.replace("CODE", code))

    async with scene(move, key="s3cret-key") as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end()
        refused = here.status
        with pytest.raises(ModelUnavailable):
            await here.send()

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("model_unavailable", 0)
    assert refused.state is ModelState.UNAVAILABLE
    assert refused.reason == Description("model_not_set_up")
    assert "no such thing" not in f"{end.detail} {refused.reason}"
    causes = [log["cause"] for log in logs if log["event"] == "model_server_trouble"]
    assert causes == [f"answered {status}: {code}, {len(code) + 32} characters"]
    assert here.server.asked[0]["head"].count("authorization: bearer s3cret-key") == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_one_message_that_is_refused_takes_nothing_from_others(status: int) -> None:
    async def move(wire: Wire) -> None:
        if "flagged" in wire.body["messages"][-1]["content"]:
            await wire.refuse(status, '{"error": {"message": "your input was flagged"}}')
        else:
            await good(wire)

    async with scene(move) as here:
        for _ in range(6):
            probes = here.server.probes
            end = await here.end("flagged")
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
            assert "in other words" in end.detail
            assert here.status.state is ModelState.READY
            assert isinstance(await here.end(), Completed)
            await eventually(lambda probes=probes: here.server.probes > probes)  # type: ignore[misc]
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_does_not_know_us_is_found_out_by_a_probe(status: int) -> None:
    async def move(wire: Wire) -> None:
        await wire.refuse(status, '{"error": {"message": "no such thing as key s3cret-key here", "code": "why"}}')

    async with scene(move, key="s3cret-key") as here:
        with structlog.testing.capture_logs() as logs:
            here.server.probed = move
            await here.end()
            await eventually(lambda: here.status.state is ModelState.UNAVAILABLE)
        reason = here.status.reason
        with pytest.raises(ModelUnavailable):
            await here.send()
        here.server.probed = good
        await eventually(lambda: here.status.state is ModelState.READY)

    assert reason == Description("model_not_set_up")
    assert "no such thing" not in str(reason)
    causes = [log["cause"] for log in logs if log["event"] == "model_unavailable"]
    assert causes == [f"answered {status}: why no such thing as key [key] here"]
    assert here.server.asked[0]["head"].count("authorization: bearer s3cret-key") == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"error": {"code": "context_length_exceeded", "message": "Too many."}}),
        (400, {"message": "This model's maximum context length is 2048 tokens.", "code": 400}),
        (400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds"}}),
        (413, {"detail": "large"}),
    ],
)
async def test_a_prompt_over_the_servers_window_is_too_large(status: int, error: dict[str, Any]) -> None:
    async def move(wire: Wire) -> None:
        await wire.refuse(status, json.dumps(error))

    async with scene(move) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert (end.code, end.interaction.credits_charged) == ("too_large", 0)
        assert here.status.state is ModelState.READY


class Dense:
    """A server to which every letter is a token, and whose window is `room` of them."""

    def __init__(self, room: int) -> None:
        self.room = room

    async def __call__(self, wire: Wire) -> None:
        size = sum(len(message["content"]) for message in wire.body["messages"])
        if size > self.room:
            await wire.refuse(400, '{"error": {"message": "The prompt is over the context window."}}')
            return
        await wire.head()
        await wire.say("x" * 40, "y" * 40)
        await wire.finish(prompt_tokens=size, completion_tokens=2)


async def test_a_conversation_denser_than_estimated_goes_on_without_its_oldest_turns() -> None:
    async with scene(Dense(300)) as here:
        first = await here.end("a" * 60)
        where = first.interaction.conversation_id
        ends = [await here.end(f"{number}" + "b" * 60, conversation_id=where) for number in range(8)]
        prompts = [[message["content"] for message in asked["messages"]] for asked in here.server.asked]

    assert all(isinstance(end, Completed) for end in ends)
    assert prompts[-1] == ["6" + "b" * 60, "x" * 40 + "y" * 40, "7" + "b" * 60]
    assert ends[-1].interaction.usage.prompt_tokens == 61 + 80 + 61
    assert len(prompts) <= 1 + 3 * len(ends)
    assert all(end.interaction.credits_charged <= end.interaction.held for end in ends)


async def test_a_message_too_long_even_alone_says_what_to_do_and_does_not_stop_the_conversation() -> None:
    async with scene(Dense(300)) as here:
        first = await here.end("a" * 60)
        where = first.interaction.conversation_id
        long = await here.end("b" * 301, conversation_id=where)
        asked = len(here.server.asked)
        after = await here.end("c" * 20, conversation_id=where)

        assert here.status.state is ModelState.READY
    assert isinstance(long, Failed)
    assert (long.code, long.interaction.credits_charged) == ("too_large", 0)
    assert "even without what was said before; shorten it" in long.detail
    assert asked == 3
    assert isinstance(after, Completed)
    assert after.interaction.usage.prompt_tokens == 60 + 80 + 20


async def test_a_message_that_only_a_guess_finds_too_long_is_for_the_server_to_judge() -> None:
    async def move(wire: Wire) -> None:
        size = sum(len(message["content"].split()) for message in wire.body["messages"])
        if size > 1_500:
            await wire.refuse(400, '{"error": {"message": "The prompt is over the context window."}}')
            return
        await wire.head()
        await wire.say("Well", " said.")
        await wire.finish(prompt_tokens=size, completion_tokens=2)

    history = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
    async with scene(move) as here:
        fits = await here.end("word " * 1_400, history=history)
        alone = here.server.asked[-1]["messages"]
        too_long = await here.end("word " * 1_600)
        asked = len(here.server.asked)
        with pytest.raises(TooLarge, match="1536 tokens") as absurd:
            await here.send("\U0001f980" * 4 * 1_537)
        absurd_asked = len(here.server.asked) - asked

    assert isinstance(fits, Completed)
    assert fits.interaction.usage == Usage(prompt_tokens=1_402, completion_tokens=2)
    assert fits.interaction.credits_charged <= fits.interaction.held
    assert [message["content"] for message in alone] == ["Be brief.", "word " * 1_400]
    assert isinstance(too_long, Failed)
    assert (too_long.code, too_long.interaction.credits_charged, asked) == ("too_large", 0, 2)
    assert absurd_asked == 0
    assert not re.search("takes [0-9]+ tokens", str(absurd.value)), "nobody counted them"


async def test_what_the_system_says_is_kept_when_a_conversation_is_shortened() -> None:
    said = [Turn(role, "w" * 50) for _ in range(6) for role in (Role.USER, Role.ASSISTANT)]
    async with scene(Dense(200)) as here:
        end = await here.end("And now?", history=(Turn(Role.SYSTEM, "Be brief."), *said))
        sizes = [len(asked["messages"]) for asked in here.server.asked]

    assert isinstance(end, Completed)
    read = [message["content"] for message in here.server.asked[-1]["messages"]]
    assert (read[0], read[-1]) == ("Be brief.", "And now?")
    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) > 1


@pytest.mark.parametrize("status", [400, 422, 409])
async def test_a_request_that_a_server_does_not_like_is_free_and_does_not_stop_others(status: int) -> None:
    async def move(wire: Wire) -> None:
        await wire.refuse(status, '{"detail": [{"msg": "odd", "input": "what the person wrote"}]}')

    async with scene(move) as here:
        for _ in range(8):
            end = await here.end()
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (422, "This model does not take system messages."),
        (500, "Jinja Exception: System role not supported"),
    ],
)
async def test_a_model_without_a_turn_of_the_system_is_told_in_the_persons_first(status: int, words: str) -> None:
    async def move(wire: Wire) -> None:
        if any(message["role"] == "system" for message in wire.body["messages"]):
            await wire.refuse(status, json.dumps({"error": {"message": words}}))
            return
        await good(wire)

    said = (
        Turn(Role.SYSTEM, "Be brief."),
        Turn(Role.USER, "Hi"),
        Turn(Role.ASSISTANT, "Hello."),
    )
    async with scene(move) as here:
        ends = [await here.end("And now?", history=said) for _ in range(2)]
        plain = await here.end("Hello there")

    assert all(isinstance(end, Completed) for end in (*ends, plain))
    refused, *folded, without = [[*map(tuple, map(dict.values, asked["messages"]))] for asked in here.server.asked]
    assert refused[0] == ("system", "Be brief.")
    assert folded == [[("user", "Be brief.\n\nHi"), ("assistant", "Hello."), ("user", "And now?")]] * 2
    assert without == [("user", "Hello there")]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_server_that_only_speaks_of_the_system_is_not_asked_for_ever(status: int) -> None:
    async def move(wire: Wire) -> None:
        await wire.refuse(status, '{"error": {"message": "System role not supported, nor any other"}}')

    async with scene(move) as here:
        end = await here.end("Hi", history=(Turn(Role.SYSTEM, "Be brief."),))

        assert isinstance(end, Failed)
        assert len(here.server.asked) == 2


async def test_a_stopped_reply_closes_the_request_at_the_server() -> None:
    closed = asyncio.Event()

    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.say("one")
        await wire.left()
        closed.set()

    patient = QUICK.__class__(first_token_s=30, between_tokens_s=30)
    async with scene(move, timeouts=patient) as here:
        reply = await here.send()
        stream = aiter(reply)
        assert [await anext(stream) for _ in range(2)][1] == Delta("one", 1)
        reply.stop()
        end = await reply.finished()
        await asyncio.wait_for(closed.wait(), timeout=1)
        await here.check(end)

        assert isinstance(end, Stopped)
        usage = Usage(prompt_tokens=LIKELY_PROMPT, completion_tokens=1)
        assert (end.interaction.usage, end.interaction.credits_charged) == (usage, PRICE.of(usage))


async def test_an_asker_who_leaves_closes_the_request_at_the_server() -> None:
    closed = asyncio.Event()

    async def move(wire: Wire) -> None:
        await wire.head()
        await wire.left()
        closed.set()

    patient = QUICK.__class__(first_token_s=30, between_tokens_s=30)
    async with scene(move, timeouts=patient) as here:
        reply = await here.send()
        await eventually(lambda: bool(here.server.asked))
        await reply.abandon()
        await asyncio.wait_for(closed.wait(), timeout=1)

        assert (await reply.finished()).interaction.credits_charged == 0
