"""OpenAI's own Python client, as it is installed from the index, against a running service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk

from tests.kit.models import demo_model_folder, models_folder
from tests.service.process import Service

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]


def saying(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def new_key(service: Service, name: str, **terms: Any) -> str:
    """An API key of somebody new."""
    async with service.client(await service.person(name)) as client:
        made = await client.post("/auth/api-keys", json={"name": "test"} | terms)
        return str(made.raise_for_status().json()["key"])


async def balance(service: Service, key: str) -> dict[str, int]:
    async with service.client(key) as client:
        found: dict[str, int] = (await client.get("/billing/balance")).raise_for_status().json()
        return found


async def settled(service: Service, key: str) -> int:
    """What the wallet owns once nothing is held any more."""
    async with asyncio.timeout(10):
        while (now := await balance(service, key))["held"]:  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.05)
    return now["balance"]


def sync_client(service: Service, key: str, **options: Any) -> OpenAI:
    return OpenAI(api_key=key, base_url=f"{service.url}/v1", **options)


@contextlib.asynccontextmanager
async def client_for(service: Service, key: str, *, url: str = "", **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=key, base_url=f"{url or service.url}/v1", **options) as client:
        yield client


async def test_the_sync_client_gets_replies_models_and_what_they_cost(service: Service) -> None:
    key = await new_key(service, "openai-sync")

    def everything() -> None:
        with sync_client(service, key) as client:
            assert [model.id for model in client.models.list()] == ["demo-mini", "demo-pro"]
            assert client.models.retrieve("demo-pro").owned_by == "chatbill"
            raw = client.chat.completions.with_raw_response.create(model="demo-pro", messages=HELLO)
            assert raw.headers["x-chatbill-credits-charged"] == "3"
            assert raw.headers["x-chatbill-balance"] == "97"
            assert raw.headers["x-chatbill-cached"] == "false"
            reply = raw.parse()
            assert reply.choices[0].message.content == "one two three"
            assert reply.choices[0].finish_reason == "stop"
            assert reply.usage
            assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (5, 3, 8)
            assert reply.usage.model_extra == {"credits_charged": 3, "balance": 97, "cached": False}
            assert reply._request_id == raw.headers["x-request-id"]
            with client.chat.completions.create(model="demo-mini", messages=HELLO, stream=True) as stream:
                text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            assert text == "one two three"

    await asyncio.to_thread(everything)
    assert await settled(service, key) == 96


async def test_the_async_client_streams_with_usage_and_parameters(service: Service) -> None:
    key = await new_key(service, "openai-async")
    async with client_for(service, key) as client:
        stream = await client.chat.completions.create(
            model="demo-mini",
            messages=saying("one two three four"),
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=3,
            temperature=0.2,
            top_p=0.9,
            seed=7,
            stop=["five"],
            user="ann",
        )
        chunks: list[ChatCompletionChunk] = [chunk async for chunk in stream]
    *written, usage = chunks
    assert written[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in written) == "one two three"
    assert written[-1].choices[0].finish_reason == "length"
    assert usage.choices == []
    assert usage.usage
    assert usage.usage.completion_tokens == 3
    assert usage.usage.model_extra == {"credits_charged": 1, "balance": 99, "cached": False}


async def test_the_streaming_helper_puts_a_reply_together(service: Service) -> None:
    key = await new_key(service, "openai-helper")
    async with (
        client_for(service, key) as client,
        client.chat.completions.stream(model="demo-mini", messages=HELLO) as stream,
    ):
        assert [event.type async for event in stream][-1] == "content.done"
        reply = await stream.get_final_completion()
    assert reply.choices[0].message.content == "one two three"


@pytest.mark.slow
async def test_errors_are_those_of_the_client_and_none_of_a_refusal_is_tried_again(
    start: Callable[..., Service],
) -> None:
    service = start(messages_per_minute=4)
    key = await new_key(service, "errors", monthly_cap=1)
    requests: list[str] = []

    async def count(request: Any) -> None:
        requests.append(str(request.url))

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [count]})
    async with client_for(service, key, http_client=http) as client:

        async def refused(kind: type[openai.APIStatusError], status: int, code: str, **fields: Any) -> Any:
            requests.clear()
            with pytest.raises(kind) as raised:
                await client.chat.completions.create(**{"model": "demo-mini", "messages": HELLO} | fields)
            assert (type(raised.value), raised.value.status_code) == (kind, status)
            assert raised.value.code == code
            assert raised.value.request_id
            assert len(requests) == 1
            return raised.value

        bad = await refused(openai.BadRequestError, 400, "invalid_request", n=2)
        assert bad.param == "n"
        assert (await refused(openai.NotFoundError, 404, "model_not_found", model="gpt-5")).param == "model"
        # The unmodified client knows no class for 402, and above all does not try again.
        cap = await refused(openai.APIStatusError, 402, "cap_reached", model="demo-pro")
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


async def test_a_stream_that_is_closed_is_charged_for_what_was_delivered(service: Service) -> None:
    key = await new_key(service, "openai-leaver")
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


async def test_who_loses_patience_pays_nothing_and_with_a_key_gets_the_reply_after_all(service: Service) -> None:
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


async def test_a_connection_lost_after_the_reply_was_made_charges_once_where_a_key_was_sent(service: Service) -> None:
    key = await new_key(service, "openai-cut-off")
    async with cutting(service, times=2) as (url, cut), client_for(service, key, url=url, max_retries=3) as client:
        reply = await client.chat.completions.create(
            model="demo-mini", messages=HELLO, extra_headers={"Idempotency-Key": "once"}
        )
    assert reply.choices[0].message.content == "one two three"
    assert cut == [2]
    assert await settled(service, key) == 99


async def test_of_64_at_once_exactly_those_within_the_cap_are_answered(service: Service) -> None:
    key = await new_key(service, "openai-crowd", monthly_cap=10)
    async with client_for(service, key, max_retries=0) as client:
        asked = (client.chat.completions.create(model="demo-mini", messages=HELLO) for _ in range(64))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, openai.APIStatusError)]
    assert {(error.status_code, error.code) for error in refused} == {(402, "cap_reached")}
    assert len(refused) == 54
    assert await settled(service, key) == 90
    service.verify()


@contextlib.asynccontextmanager
async def cutting(service: Service, *, times: int) -> AsyncIterator[tuple[str, list[int]]]:
    """An address before the service that hangs up instead of passing on the first `times` answers."""
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


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Service]:
    """A service with the real demo models."""
    demo_model_folder()
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(models_folder(), target_is_directory=True)
    running = Service(data, {"CHATBILL_ENGINE": "transformers"}).start()
    yield running
    if running.url:
        running.kill()


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_real_model_answers_what_was_said_before_and_obeys_the_system(real: Service) -> None:
    key = await new_key(real, "ann")
    async with client_for(real, key) as client:
        asked = await client.chat.completions.create(
            model="demo-mini",
            messages=[
                {"role": "system", "content": "You answer in one short sentence."},
                {"role": "user", "content": "What is the capital of France?"},
            ],
            temperature=0,
        )
        assert "Paris" in (asked.choices[0].message.content or "")
        assert asked.choices[0].finish_reason == "stop"
        cut = await client.chat.completions.create(
            model="demo-mini", messages=saying("Tell me a long story."), max_tokens=5, temperature=0
        )
        assert (cut.choices[0].finish_reason, cut.usage and cut.usage.completion_tokens) == ("length", 5)
        same = [
            await client.chat.completions.create(
                model="demo-mini", messages=saying("Name a colour."), seed=7, temperature=1, top_p=0.9, max_tokens=12
            )
            for _ in range(2)
        ]
        assert same[0].choices[0].message.content == same[1].choices[0].message.content
    assert await settled(real, key) == 96
    real.verify()


@pytest.mark.slow
async def test_a_crash_gives_the_month_of_a_key_back(start: Callable[..., Service]) -> None:
    service = start(generation_timeout_s=1, hold_grace_s=1, sweep_interval_s=0.2)
    key = await new_key(service, "crash", monthly_cap=3)
    async with client_for(service, key, max_retries=0) as client:
        running = asyncio.create_task(
            client.chat.completions.create(model="demo-pro", messages=saying("x [[sleep:0.9]]"))
        )
        async with asyncio.timeout(5):
            while not (await balance(service, key))["held"]:  # noqa: ASYNC110 - what is waited for is elsewhere
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


async def test_httpx_alone_sees_every_header_a_client_needs(service: Service) -> None:
    key = await new_key(service, "headers")
    async with httpx.AsyncClient(base_url=service.url, headers={"Authorization": f"Bearer {key}"}) as client:
        sent = {"X-Request-Id": "my-own-name"}
        response = await client.post(
            "/v1/chat/completions", json={"model": "demo-mini", "messages": HELLO}, headers=sent
        )
    assert response.headers["x-request-id"] == "my-own-name"
