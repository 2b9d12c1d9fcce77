"""Replies, streams and models of `/v1`, compared with the format of OpenAI."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.shared.ids import ModelId
from tests.entrypoints.http.openai.requests import HELLO, SYSTEM, ask, chunks, completion
from tests.kit.engines import ControlledEngine
from tests.kit.http import api
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually


async def test_a_reply_has_the_format_of_openai(alice: httpx.AsyncClient) -> None:
    response = await ask(alice, SYSTEM, HELLO)
    assert response.status_code == 200
    body = response.json()
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1_700_000_000
    assert body == {
        "object": "chat.completion",
        "model": "demo-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 2,
            "total_tokens": 6,
            "credits_charged": 1,
            "balance": 99,
            "cached": False,
        },
    }
    assert response.headers["X-Chatbill-Credits-Charged"] == "1"
    assert response.headers["X-Chatbill-Balance"] == "99"
    assert response.headers["X-Chatbill-Cached"] == "false"
    assert response.headers["X-Request-Id"]


async def test_a_cached_reply_is_marked_in_both_forms() -> None:
    cache = ReplyCache(max_bytes=1_000_000, ttl_s=60)
    engine = CachingEngine(ScriptedEngine(CATALOGUE), cache, temperatures={}, identities={})
    async with api(engine=engine, cached_price_percent=0) as service:
        alice = await service.person()
        fresh, again = [await ask(alice, temperature=0) for _ in range(2)]
        streamed = await ask(alice, temperature=0, stream=True, stream_options={"include_usage": True})

    for reply, cached in ((fresh, False), (again, True)):
        assert reply.headers["X-Chatbill-Cached"] == ("true" if cached else "false")
        assert reply.json()["usage"]["cached"] is cached
    assert chunks(streamed.text)[-2]["usage"]["cached"] is True
    assert streamed.text.endswith(": chatbill credits_charged=0 balance=99 cached=true\n\ndata: [DONE]\n\n")


async def test_a_stream_has_the_format_of_openai(alice: httpx.AsyncClient) -> None:
    response = await ask(alice, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *found, done = chunks(response.text)
    assert done == "[DONE]"
    assert {(each["object"], each["model"]) for each in found} == {("chat.completion.chunk", "demo-mini")}
    assert len({each["id"] for each in found}) == len({each["created"] for each in found}) == 1
    *written, usage = found
    assert [(each["choices"][0]["delta"], each["choices"][0]["finish_reason"]) for each in written] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hello"}, None),
        ({"content": " there"}, None),
        ({}, "stop"),
    ]
    assert all(each["usage"] is None for each in written)
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 2,
        "total_tokens": 4,
        "credits_charged": 1,
        "balance": 99,
        "cached": False,
    }
    assert response.text.endswith(": chatbill credits_charged=1 balance=99 cached=false\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("options", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}])
async def test_a_stream_has_no_usage_unless_it_is_requested(alice: httpx.AsyncClient, options: dict[str, Any]) -> None:
    found = chunks((await ask(alice, stream=True, **options)).text)
    assert all("usage" not in each for each in found[:-1])
    assert all(each["choices"] for each in found[:-1])


async def test_a_reply_at_the_limit_has_finish_reason_length(alice: httpx.AsyncClient) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        cut = (await ask(alice, **{name: 1})).json()
        assert cut["choices"][0]["message"]["content"] == "Hello"
        assert cut["choices"][0]["finish_reason"] == "length"
    assert (await ask(alice, max_tokens=9, max_completion_tokens=1)).json()["choices"][0]["finish_reason"] == "length"
    *_, last, _ = chunks((await ask(alice, stream=True, max_tokens=1)).text)
    assert last["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("tokens", "cut_off", "reason"),
    [(3, False, "stop"), (3, True, "length"), (3, None, "length"), (2, False, "stop"), (2, True, "length")],
)
async def test_the_finish_reason_of_the_engine_is_used(
    tokens: int, cut_off: bool | None, reason: str, stream: bool
) -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as running:
        alice = await running.person()
        asking = asyncio.create_task(ask(alice, max_tokens=3, stream=stream))
        await eventually(lambda: bool(engine.generations))
        engine.last.say("one", tokens)
        engine.last.cut_off = cut_off
        engine.last.end()
        answer = await asking
    last = chunks(answer.text)[-2] if stream else answer.json()
    assert last["choices"][0]["finish_reason"] == reason


async def test_models_have_the_format_of_openai(alice: httpx.AsyncClient) -> None:
    listed = (await alice.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["demo-mini", "demo-pro"]
    assert (await alice.get("/v1/models/demo-pro")).json() == listed["data"][1]
    unknown = await alice.get("/v1/models/gpt-5")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["org/Model-8B:free", "org%2FModel-8B:free"])
async def test_the_id_of_a_model_may_hold_a_slash(path: str) -> None:
    model = replace(next(iter(CATALOGUE.values())), id=ModelId("org/Model-8B:free"))
    async with api(catalogue=Catalogue((model,))) as service:
        client = await service.person()
        listed = (await client.get("/v1/models")).json()["data"]
        read = await client.get(f"/v1/models/{path}")
        unknown = await client.get("/v1/models/org/other")
        reply = await client.post("/v1/chat/completions", json={**completion(), "model": model.id})
    assert (read.status_code, read.json()["id"]) == (200, "org/Model-8B:free")
    assert read.json() == listed[0]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert (reply.status_code, reply.json()["model"]) == (200, "org/Model-8B:free")
