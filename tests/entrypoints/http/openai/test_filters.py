"""A reply that a content filter ended, at `/v1` and in the chat."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.entrypoints.http.openai.requests import ask, chunks
from tests.kit.engines import ControlledEngine
from tests.kit.http import api, say
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually


async def filtered(engine: ControlledEngine, asking: Any, *texts: str) -> httpx.Response:
    """Let the engine write these texts, and end the reply by a filter."""
    task = asyncio.create_task(asking)
    await eventually(lambda: bool(engine.generations))
    for text in texts:
        engine.last.say(text)
    engine.last.filtered = True
    engine.last.end()
    answer: httpx.Response = await task
    return answer


@pytest.mark.parametrize(("texts", "balance"), [(("one", " two"), 99), ((), 100), (("",), 100)])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_finish_reason_is_content_filter(texts: tuple[str, ...], balance: int, stream: bool) -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as running:
        alice = await running.person()
        answer = await filtered(engine, ask(alice, stream=stream), *texts)
        left = (await alice.get("/billing/balance")).json()

    assert answer.status_code == 200
    last = chunks(answer.text)[-2] if stream else answer.json()
    assert last["choices"][0]["finish_reason"] == "content_filter"
    if not stream:
        assert last["choices"][0]["message"]["content"] == "".join(texts)
    assert left == {"balance": balance, "held": 0, "available": balance}


async def test_the_chat_says_what_stopped_the_reply() -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as running:
        alice = await running.person()
        answer = await filtered(engine, alice.post("/chat/message", json=say("Hello")), "one", " two")
        [item] = (await alice.get("/chat/history")).json()["items"]

    for shown in (answer.json(), item):
        assert (shown["outcome"], shown["error_code"], shown["reply"]) == ("stopped", "content_filter", "one two")
        assert shown["error_detail"] == "A content filter of the model's server ended this reply."
        assert shown["credits_charged"] == 1
