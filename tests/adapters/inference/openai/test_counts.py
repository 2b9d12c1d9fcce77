"""Tokens where the server counts none, counts wrongly, or cuts characters in two."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from chatbill.adapters.inference.openai.counting import TokenCounter
from chatbill.adapters.inference.openai.usage_counter import UsageCounter
from chatbill.adapters.inference.openai.wire import read_chunk
from chatbill.application.chat.events import Completed, Delta, Failed
from chatbill.domain.billing.prices import Usage
from tests.adapters.inference.openai.fake_servers import Connection, Handler, delta
from tests.adapters.inference.openai.handlers import LIKELY_PROMPT, SAID
from tests.adapters.inference.openai.scene import PRICE, events_of, scene


async def no_usage(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.finish()


async def usage_null(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event({**delta(finish_reason="stop"), "usage": None})
    await connection.event("[DONE]")


async def usage_nonsense(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event(delta(finish_reason="stop"))
    await connection.event({"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": "many"}})
    await connection.event("[DONE]")


async def silent_after_the_finish(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event(delta(finish_reason="stop"))
    await connection.left()


async def reset_after_the_finish(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event(delta(finish_reason="stop"))
    await asyncio.sleep(0.05)
    connection.reset()


async def done_without_a_finish(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.event("[DONE]")


@pytest.mark.parametrize(
    "handler",
    [no_usage, usage_null, usage_nonsense, silent_after_the_finish, reset_after_the_finish, done_without_a_finish],
)
async def test_without_counts_of_the_server_the_parts_are_counted(handler: Handler) -> None:
    async with scene(handler) as here:
        end = await here.end()

        assert isinstance(end, Completed), end
        counted = Usage(prompt_tokens=LIKELY_PROMPT, completion_tokens=3)
        assert (end.interaction.reply, end.interaction.usage) == ("one two three", counted)
        assert end.interaction.credits_charged == PRICE.of(counted)


async def lies_about_usage(connection: Connection) -> None:
    await connection.head()
    await connection.say("one", " two", " three")
    await connection.finish(prompt_tokens=1_000_000, completion_tokens=1_000_000)


async def test_counts_above_the_limits_cost_no_more_than_the_hold() -> None:
    async with scene(lies_about_usage) as here:
        reply = await here.send(max_tokens=10)
        end = await reply.finished()
        await here.check(end)

        assert end.interaction.usage.completion_tokens == 10
        assert end.interaction.credits_charged == reply.accepted.held


async def never_ends(connection: Connection) -> None:
    await connection.head()
    for _ in range(100_000):
        await connection.say("word ")
        await asyncio.sleep(0)


async def test_a_reply_without_an_end_is_cut_off() -> None:
    async with scene(never_ends) as here:
        end = await here.end(max_tokens=5)

        assert isinstance(end, Completed)
        assert end.interaction.usage.completion_tokens == 5
        assert end.interaction.reply.count("word") <= 2 * 5 + 17


async def test_a_reply_with_impossibly_long_tokens_fails_and_is_not_stored() -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        for _ in range(200):
            await connection.say("x" * 900_000)
        await connection.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(handler) as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end(max_tokens=100)

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
    assert len(end.interaction.reply) < 100 * 1_000
    assert "characters" in logs[0]["cause"]


async def test_a_reply_of_long_tokens_is_complete() -> None:
    """A run of blanks can be one token."""

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say(*[" " * 128] * 512)
        await connection.finish(prompt_tokens=12, completion_tokens=512)

    async with scene(handler) as here:
        end = await here.end(max_tokens=512)

    assert isinstance(end, Completed)
    assert len(end.interaction.reply) == 512 * 128


async def more_parts_than_tokens(connection: Connection) -> None:
    await connection.head()
    await connection.say(*"abcdefgh")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def test_the_count_of_a_server_that_splits_tokens_is_charged() -> None:
    async with scene(more_parts_than_tokens) as here:
        reply = await here.send(max_tokens=4)
        events = await events_of(reply)

        assert "".join(event.text for event in events if isinstance(event, Delta)) == "abcdefgh"
        assert sum(event.tokens for event in events if isinstance(event, Delta)) <= 4
        assert events[-1] == await reply.finished()
        assert (await reply.finished()).interaction.usage == SAID


async def fewer_parts_than_tokens(connection: Connection) -> None:
    await connection.head()
    await connection.say("one two three")
    await connection.finish(prompt_tokens=12, completion_tokens=3)


async def test_tokens_that_arrive_together_are_counted_in_the_chunks() -> None:
    async with scene(fewer_parts_than_tokens) as here:
        events = await events_of(await here.send())

        assert sum(event.tokens for event in events if isinstance(event, Delta)) == 3


async def test_characters_cut_in_two_arrive_complete() -> None:
    line_separator = "\u2028"

    async def handler(connection: Connection) -> None:
        await connection.head()
        text = f"naïve 😀{line_separator}日本語"
        for byte in f"data: {json.dumps(delta(content=text), ensure_ascii=False)}\n\n".encode():
            await connection.raw(bytes([byte]))
            await asyncio.sleep(0)
        await connection.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(handler) as here:
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
    async def handler(connection: Connection) -> None:
        await connection.head()
        for part in parts:
            await connection.raw(f"data: {json.dumps(delta(content=part))}\n\n")
        await connection.finish(prompt_tokens=12, completion_tokens=min(3, max_tokens))

    async with scene(handler) as here:
        # A request for one token is a probe to this server.
        here.server.probed = handler
        events = await events_of(await here.send(max_tokens=max_tokens))

    deltas = [event for event in events if isinstance(event, Delta)]
    assert isinstance(events[-1], Completed)
    assert "".join(delta.text for delta in deltas) == events[-1].interaction.reply == text
    assert sum(delta.tokens for delta in deltas) <= max_tokens


async def test_a_stop_string_is_found_whose_character_came_in_halves() -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        for part in ("a\ud83d", "\ude00b"):
            await connection.raw(f"data: {json.dumps(delta(content=part))}\n\n")
        await connection.finish(prompt_tokens=12, completion_tokens=3)

    async with scene(handler) as here:
        assert (await here.end(stop=("\U0001f600",))).interaction.reply == "a"


def test_a_server_that_counts_as_it_writes_is_believed_for_each_part() -> None:
    event = {"choices": [{"delta": {"content": "🦊"}}], "timings": {"predicted_n": 3}}
    chunk = read_chunk(json.dumps(event))
    usage = UsageCounter(TokenCounter(None), stop=(), max_tokens=10)

    parts = [usage.push(chunk.text, chunk.completion_tokens), usage.push(" and", 4), usage.push(" more", None)]
    assert [part.tokens for part in parts if part] == [3, 1, 1]
    too_many = UsageCounter(TokenCounter(None), stop=(), max_tokens=10).push("x", 1_000)
    assert too_many
    assert too_many.tokens == 9  # the last one is kept for the end
