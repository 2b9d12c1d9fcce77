"""What does not fit into a model's window is 400 `context_length_exceeded` at `/v1`, and nothing is left out."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.domain.shared.errors import ContextLengthExceeded, GenerationFailed
from tests.entrypoints.http.openai.requests import HELLO, SYSTEM, ask, chunks
from tests.kit.engines import ControlledEngine
from tests.kit.http import api, say
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually

ANSWER = {"role": "assistant", "content": "Go on."}


def words(count: int) -> dict[str, Any]:
    return {"role": "user", "content": "w " * count}


def conversation(*sizes: int) -> list[dict[str, Any]]:
    """Return user messages of so many words, with answers of two words between them."""
    return [message for size in sizes for message in (words(size), ANSWER)][:-1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        (conversation(*[1_000] * 6, 2), {"max_tokens": 16}),
        (conversation(*[1_000] * 6, 2), {}),
        (conversation(2_049), {}),
        (conversation(1_538), {"max_tokens": 511}),
        (conversation(1_000, 600), {"max_tokens": 500}),
        ([SYSTEM, *conversation(1_023, 1_023)], {"max_completion_tokens": 1}),
    ],
)
async def test_what_does_not_fit_is_refused_in_openais_words_and_nothing_is_held(
    alice: httpx.AsyncClient, messages: list[Any], fields: dict[str, Any], stream: bool
) -> None:
    answer = await ask(alice, *messages, stream=stream, **fields)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"], error["param"]) == (
        400,
        "context_length_exceeded",
        "invalid_request_error",
        "messages",
    )
    assert error["message"].startswith(
        "This model's maximum context length is 2048 tokens. However, the prompt is too long"
    )
    assert "Please reduce the length of the messages or completion." in error["message"]
    assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
    assert (await alice.get("/chat/history")).json()["items"] == []


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_a_reply_that_is_to_be_longer_than_the_window_is_refused_however_short_the_prompt(
    alice: httpx.AsyncClient, field: str
) -> None:
    answer = await ask(alice, HELLO, **{field: 2_049})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["message"] == (
        "This model's maximum context length is 2048 tokens. However, 2049 tokens are for the completion alone, which "
        "exceeds the context window. Please reduce the length of the messages or completion."
    )
    assert (await ask(alice, HELLO, **{field: 2_000})).status_code == 200


@pytest.mark.parametrize(
    ("messages", "fields", "written"),
    [
        (conversation(1_000, 500), {"max_tokens": 500}, 500),
        (conversation(1_548), {"max_tokens": 500}, 500),
        # Without a length of its own, the reply takes what the messages leave.
        (conversation(1_948), {}, 100),
        (conversation(2_047), {}, 1),
    ],
)
async def test_what_fits_is_read_whole(
    alice: httpx.AsyncClient, messages: list[Any], fields: dict[str, Any], written: int
) -> None:
    body = (await ask(alice, *messages, **fields)).json()

    assert body["usage"]["prompt_tokens"] == sum(len(message["content"].split()) for message in messages)
    assert body["usage"]["completion_tokens"] == written
    assert body["choices"][0]["finish_reason"] == "length"


async def test_a_message_over_the_limit_of_characters_that_could_not_fit_either_is_refused_in_the_same_way(
    alice: httpx.AsyncClient,
) -> None:
    for messages in (
        [words(4_000)],
        [words(4_000), ANSWER, HELLO],
        [{"role": "system", "content": "w " * 9_000}, HELLO],
    ):
        answer = await ask(alice, *messages)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
        assert answer.json()["error"]["message"].startswith("This model's maximum context length is 2048 tokens.")


async def test_a_cached_reply_to_a_trimmed_conversation_is_not_given_to_one_that_must_be_whole() -> None:
    cache = ReplyCache(max_bytes=1_000_000, ttl_s=60)
    engine = CachingEngine(ScriptedEngine(CATALOGUE), cache, temperatures={}, identities={})
    async with api(engine=engine) as service:
        alice = await service.person()
        sent: dict[str, Any] = {}
        for _ in range(2):
            long = say("w " * 1_000, temperature=0, max_tokens=100, **sent)
            sent = {"conversation_id": (await alice.post("/chat/message", json=long)).json()["conversation_id"]}
        trimmed = await alice.post("/chat/message", json=say("Which?", temperature=0, max_tokens=100, **sent))
        said = {"role": "assistant", "content": ("w " * 100).strip()}
        messages = [words(1_000), said, words(1_000), said, {"role": "user", "content": "Which?"}]
        answer = await ask(alice, *messages, temperature=0, max_tokens=100)

    assert trimmed.json()["context"]["dropped_turns"] == 2
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ContextLengthExceeded(limit=2_048, whole=True), 400, "context_length_exceeded"),
        (GenerationFailed(), 502, "generation_failed"),
    ],
)
async def test_a_failure_before_the_first_token_has_a_status_in_a_stream_too(
    failure: Exception, status: int, code: str, stream: bool
) -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as running:
        alice = await running.person()
        asking = asyncio.create_task(ask(alice, stream=stream))
        await eventually(lambda: bool(engine.generations))
        engine.last.fail(failure)
        answer = await asking

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["credits_charged"] == 0


async def test_a_stream_whose_first_token_takes_long_begins_before_it() -> None:
    async with api() as running:
        alice = await running.person()
        answer = await ask(alice, {"role": "user", "content": "a [[sleep:0.2]] [[fail:before]]"}, stream=True)
        late = await ask(alice, {"role": "user", "content": "a [[sleep:1.5]] [[fail:before]]"}, stream=True)

    assert answer.status_code == 502
    assert (late.status_code, chunks(late.text)[-1]["error"]["code"]) == (200, "generation_failed")
