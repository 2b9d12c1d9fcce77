"""Servers that speak OpenAI's dialect in their own way, behind a running service, with OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from tests.adapters.inference.openai.fake_servers import Connection, Handler, delta, scripted_server, works
from tests.service.openai_support import balance, client_for, new_key, saying, settled
from tests.service.process import Service

pytestmark = pytest.mark.slow

CATALOGUE = """
[[models]]
id = "large"
name = "Large"
tier = "pro"
price = {{ per_reply = 1 }}
context_tokens = 2048
max_reply_tokens = 512
sampling = {{ temperature = 0.7 }}
thinking = "tags"
source = {{ kind = "server", url = "{url}" }}
"""


@asynccontextmanager
async def behind(folder: Path, handler: Handler) -> AsyncIterator[Service]:
    """Run a service whose model is on a server with this handler, for probes as well."""
    async with scripted_server(handler, probed=handler) as server:
        catalogue = folder / "own.toml"
        catalogue.write_text(CATALOGUE.format(url=server.url), encoding="utf-8")
        service = Service(folder / "data", {"CHATBILL_MODELS": str(catalogue), "CHATBILL_ENGINE": "transformers"})
        await asyncio.to_thread(service.start)
        try:
            yield service
        finally:
            await asyncio.to_thread(service.stop)
    assert await asyncio.to_thread(service.verify)


async def refuses_temperatures(connection: Connection) -> None:
    if "temperature" in connection.body:
        message = "Unsupported value: 'temperature' does not support 0.7 with this model."
        error = {"message": message, "param": "temperature", "code": "unsupported_value"}
        await connection.refuse(400, json.dumps({"error": error}))
    else:
        await works(connection)


async def test_a_refused_temperature_is_an_error_of_its_field_and_the_default_is_left_out(tmp_path: Path) -> None:
    async with behind(tmp_path, refuses_temperatures) as service:
        key = await new_key(service, "alice")
        async with client_for(service, key, max_retries=0) as client:
            for number in range(7):
                reply = await client.chat.completions.create(model="large", messages=saying(f"a {number}"))
                assert reply.choices[0].message.content == "ok"
            for stream in (False, True):
                with pytest.raises(openai.BadRequestError) as refused:
                    await client.chat.completions.create(
                        model="large", messages=saying("b"), temperature=0.3, stream=stream
                    )
                assert (refused.value.param, refused.value.code) == ("temperature", "invalid_request")
        async with service.client(key) as http:
            body = {"model": "large", "message": "b", "temperature": 0.3}
            problem = (await http.post("/chat/message", json=body)).json()
        assert (problem["status"], problem["code"]) == (422, "invalid_request")
        assert [fault["field"] for fault in problem["errors"]] == ["temperature"]
        assert await settled(service, key) == 93


async def thinks_aloud_and_does_not_stream(connection: Connection) -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "<think>hm</think>\n\nPa"}, {"type": "text", "text": "ris."}],
    }
    body = {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6},
    }
    await connection.refuse(200, json.dumps(body))


async def test_a_server_that_does_not_stream_and_thinks_aloud_is_understood(tmp_path: Path) -> None:
    async with behind(tmp_path, thinks_aloud_and_does_not_stream) as service:
        key = await new_key(service, "alice")
        async with client_for(service, key, max_retries=0) as client:
            whole = await client.chat.completions.create(model="large", messages=saying("a"), temperature=1)
            stream = await client.chat.completions.create(
                model="large", messages=saying("b"), temperature=1, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
    assert whole.choices[0].message.content == "Paris."
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Paris."
    for usage in (whole.usage, chunks[-1].usage):
        assert usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (5, 6)


async def filters(connection: Connection) -> None:
    said = connection.body["messages"][-1]["content"]
    if "refuse" in said:
        await connection.refuse(400, '{"error": {"code": "content_filter", "message": "The prompt was filtered."}}')
        return
    await connection.head()
    await connection.say("one", " two")
    await connection.event(delta(finish_reason="stop" if said == "Hi" else "content_filter"))
    await connection.event("[DONE]")


async def test_a_content_filter_arrives_as_content_filter(tmp_path: Path) -> None:
    async with behind(tmp_path, filters) as service:
        key = await new_key(service, "alice")
        async with client_for(service, key, max_retries=0) as client:
            cut = await client.chat.completions.create(model="large", messages=saying("cut it"))
            refused = await client.chat.completions.create(model="large", messages=saying("refuse it"))
        async with service.client(key) as http:
            chat = (await http.post("/chat/message", json={"model": "large", "message": "cut it too"})).json()
        left = await balance(service, key)
    assert [(reply.choices[0].finish_reason, reply.choices[0].message.content) for reply in (cut, refused)] == [
        ("content_filter", "one two"),
        ("content_filter", ""),
    ]
    assert (chat["outcome"], chat["error_code"], chat["reply"]) == ("stopped", "content_filter", "one two")
    assert left == {"balance": 98, "held": 0, "available": 98}


async def small_window(connection: Connection) -> None:
    if len(connection.body["messages"]) > 1:
        words = "request (900 tokens) exceeds the available context size (512 tokens), try increasing it"
        error = {"code": 400, "message": words, "type": "exceed_context_size_error"}
        await connection.refuse(400, json.dumps({"error": error}))
    else:
        await works(connection)


async def test_a_window_that_only_the_server_knows_is_told_in_the_same_way(tmp_path: Path) -> None:
    async with behind(tmp_path, small_window) as service:
        key = await new_key(service, "alice")
        said = [*saying("a"), {"role": "assistant", "content": "ok"}, *saying("b")]
        async with client_for(service, key, max_retries=0) as client:
            for stream in (False, True):
                with pytest.raises(openai.BadRequestError) as refused:
                    await client.chat.completions.create(model="large", messages=said, stream=stream)
                assert refused.value.code == "context_length_exceeded"
        async with service.client(key) as http:
            first = (await http.post("/chat/message", json={"model": "large", "message": "a"})).json()
            body = {"model": "large", "message": "b", "conversation_id": first["conversation_id"]}
            second = (await http.post("/chat/message", json=body)).json()
    assert first["context"]["dropped_turns"] == 0
    assert second["context"] == {"tokens": 8, "limit": 2_048, "dropped_turns": 2}
