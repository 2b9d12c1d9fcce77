"""OpenAI's own Python client against a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk

from tests.kit.models import demo_model_folder, models_folder
from tests.service.openai_support import HELLO, client_for, new_key, saying, settled
from tests.service.process import Service


def sync_client(service: Service, key: str, **options: Any) -> OpenAI:
    return OpenAI(api_key=key, base_url=f"{service.url}/v1", **options)


async def test_the_sync_client_gets_replies_models_and_charges(service: Service) -> None:
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


async def test_the_streaming_helper_assembles_a_reply(service: Service) -> None:
    key = await new_key(service, "openai-helper")
    async with (
        client_for(service, key) as client,
        client.chat.completions.stream(model="demo-mini", messages=HELLO) as stream,
    ):
        assert [event.type async for event in stream][-1] == "content.done"
        reply = await stream.get_final_completion()
    assert reply.choices[0].message.content == "one two three"


async def test_of_64_requests_at_once_those_within_the_cap_are_answered(service: Service) -> None:
    key = await new_key(service, "openai-crowd", monthly_cap=10)
    async with client_for(service, key, max_retries=0) as client:
        asked = (client.chat.completions.create(model="demo-mini", messages=HELLO) for _ in range(64))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, openai.APIStatusError)]
    assert {(error.status_code, error.code) for error in refused} == {(402, "cap_reached")}
    assert len(refused) == 54
    assert await settled(service, key) == 90
    service.verify()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Service]:
    """Return a service with the real demo models."""
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
async def test_a_real_model_uses_the_history_and_the_system_message(real: Service) -> None:
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


async def test_every_header_that_a_client_needs_is_sent(service: Service) -> None:
    key = await new_key(service, "headers")
    async with httpx.AsyncClient(base_url=service.url, headers={"Authorization": f"Bearer {key}"}) as client:
        sent = {"X-Request-Id": "my-own-name"}
        response = await client.post(
            "/v1/chat/completions", json={"model": "demo-mini", "messages": HELLO}, headers=sent
        )
    assert response.headers["x-request-id"] == "my-own-name"
