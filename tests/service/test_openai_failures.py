"""OpenAI's own Python client against a running service: errors, disconnects and crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.service.openai_support import HELLO, balance, client_for, new_key, saying, settled
from tests.service.process import Service


@contextlib.asynccontextmanager
async def cutting(service: Service, *, times: int) -> AsyncIterator[tuple[str, list[int]]]:
    """Run a proxy that closes the connection instead of passing on the first `times` answers."""
    host, port = service.url.removeprefix("http://").split(":")
    cut = [0]

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(host, int(port))

        async def there() -> None:
            while data := await reader.read(65_536):
                before.write(data)

        async def back() -> None:
            while data := await behind.read(65_536):
                if cut[0] < times:
                    cut[0] += 1
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(there()), asyncio.create_task(back())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, before):
            each.close()

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", cut


async def rejection(client: AsyncOpenAI, expected: tuple[type[openai.APIStatusError], int, str], **fields: Any) -> Any:
    """Return the error that the client raises; fails unless its class, status and code are as expected."""
    with pytest.raises(expected[0]) as raised:
        await client.chat.completions.create(**{"model": "demo-mini", "messages": HELLO} | fields)
    assert (type(raised.value), raised.value.status_code, raised.value.code) == expected
    assert raised.value.request_id
    return raised.value


@pytest.mark.slow
async def test_errors_have_the_classes_of_the_client_and_rejections_are_not_retried(
    start: Callable[..., Service],
) -> None:
    service = start(messages_per_minute=4)
    key = await new_key(service, "errors", monthly_cap=1)
    requests: list[str] = []

    async def count(request: Any) -> None:
        requests.append(str(request.url))

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [count]})
    async with client_for(service, key, http_client=http) as client:
        assert (await rejection(client, (openai.BadRequestError, 400, "invalid_request"), n=2)).param == "n"
        missing = await rejection(client, (openai.NotFoundError, 404, "model_not_found"), model="gpt-5")
        assert missing.param == "model"
        # The client has no class for 402. It must not try again.
        cap = await rejection(client, (openai.APIStatusError, 402, "cap_reached"), model="demo-pro")
        assert len(requests) == 3
        assert (cap.type, cap.body["cap"], cap.body["available"]) == ("insufficient_quota", 1, 1)
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="demo-mini", input="x")
    async with client_for(service, key + "x") as stranger:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await stranger.models.list()
        assert unknown.value.code == "invalid_api_key"
    async with client_for(service, key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model="demo-mini", messages=saying("x [[fail:before]]"))
        assert failed.value.code == "generation_failed"
        with pytest.raises(openai.APIError, match="could not finish"):
            async for _ in await client.chat.completions.create(
                model="demo-mini", messages=saying("a b c [[fail:after:2]]"), stream=True
            ):
                pass
        await client.chat.completions.create(model="demo-mini", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as limited:
            await client.chat.completions.create(model="demo-mini", messages=HELLO)
        assert int(limited.value.response.headers["retry-after"]) >= 1
    assert await settled(service, key) == 99
    service.verify()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_beyond_the_window_is_refused_and_free(service: Service, stream: bool) -> None:
    key = await new_key(service, f"openai-context-{stream}".lower())
    messages: list[Any] = [
        {"role": "user", "content": "The word is PINEAPPLE."},
        {"role": "assistant", "content": "Yes."},
    ]
    for _ in range(6):
        messages += [
            {"role": "user", "content": "lorem ipsum dolor sit amet " * 200},
            {"role": "assistant", "content": "Go on."},
        ]
    messages.append({"role": "user", "content": "Which word?"})
    expected = (openai.BadRequestError, 400, "context_length_exceeded")
    async with client_for(service, key) as client:
        refused = await rejection(client, expected, messages=messages, max_tokens=16, stream=stream)
    assert (refused.param, refused.type) == ("messages", "invalid_request_error")
    # LiteLLM and LangChain look for these words in the message; this client shows no code in it.
    assert "This model's maximum context length is" in str(refused)
    assert "prompt is too long" in str(refused)
    assert await balance(service, key) == {"balance": 100, "held": 0, "available": 100}


async def test_a_closed_stream_is_charged_for_the_delivered_text(service: Service) -> None:
    key = await new_key(service, "openai-leaver", scopes=["chat", "read"])
    async with client_for(service, key) as client:
        stream = await client.chat.completions.create(
            model="demo-mini", messages=saying("a b c [[tokens:400]] [[pause:0.02]]"), stream=True
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                await stream.close()
                break
    assert await settled(service, key) == 99
    async with service.client(key) as http:
        (kept,) = (await http.get("/chat/history")).json()["items"]
    assert kept["outcome"] == "stopped"
    assert kept["usage"]["completion_tokens"] < 50


async def test_a_client_timeout_is_free_and_with_a_key_the_reply_comes_later(service: Service) -> None:
    key = await new_key(service, "openai-hasty")
    slow = saying("x [[sleep:1.5]]")
    async with client_for(service, key, timeout=0.5, max_retries=1) as hasty:
        with pytest.raises(openai.APITimeoutError):
            await hasty.chat.completions.create(model="demo-mini", messages=slow)
    assert await settled(service, key) == 100
    async with client_for(service, key, timeout=0.5, max_retries=6) as patient:
        reply = await patient.chat.completions.create(
            model="demo-mini", messages=slow, extra_headers={"Idempotency-Key": "timeouts"}
        )
    assert reply.choices[0].message.content == "x"
    assert await settled(service, key) == 99


async def test_a_connection_lost_after_the_reply_charges_once_with_a_key(service: Service) -> None:
    key = await new_key(service, "openai-cut-off")
    async with cutting(service, times=2) as (url, cut), client_for(service, key, url=url, max_retries=3) as client:
        reply = await client.chat.completions.create(
            model="demo-mini", messages=HELLO, extra_headers={"Idempotency-Key": "once"}
        )
    assert reply.choices[0].message.content == "one two three"
    assert cut == [2]
    assert await settled(service, key) == 99


@pytest.mark.slow
async def test_a_crash_releases_the_monthly_use_of_a_key(start: Callable[..., Service]) -> None:
    service = start(generation_timeout_s=1, hold_grace_s=1, sweep_interval_s=0.2)
    key = await new_key(service, "crash", monthly_cap=3)
    async with client_for(service, key, max_retries=0) as client:
        running = asyncio.create_task(
            client.chat.completions.create(model="demo-pro", messages=saying("x [[sleep:0.9]]"))
        )
        async with asyncio.timeout(5):
            while not (await balance(service, key))["held"]:  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.02)
        service.kill()
        with contextlib.suppress(openai.APIConnectionError):
            await running
    service.start()
    assert await settled(service, key) == 100
    async with client_for(service, key) as client:
        reply = await client.chat.completions.create(model="demo-pro", messages=HELLO)
    assert reply.usage
    assert await settled(service, key) == 97
    service.verify()
