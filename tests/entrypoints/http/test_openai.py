"""What clients of OpenAI's API send and get, to the last field, and what is refused in its shape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from chatbill.adapters.inference.caching.engine import ReplyCache, CachingEngine
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import TooLarge
from tests.entrypoints.http.support import Api, api, eventually, served
from tests.kit.engines import ControlledEngine
from tests.kit.support import CATALOGUE

SYSTEM = {"role": "system", "content": "Be brief."}
HELLO = {"role": "user", "content": "Hello there"}


def completion(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "demo-mini", "messages": list(messages) or [HELLO]} | fields


async def ask(client: httpx.AsyncClient, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=completion(*messages, **fields))


def chunks(text: str) -> list[Any]:
    """What stands in the data of a stream: JSON, and at the end the word that it is one."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def test_a_reply_looks_as_openais_does(alice: httpx.AsyncClient) -> None:
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


async def test_a_reply_that_was_only_given_again_is_marked_in_either_form() -> None:
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


async def test_a_stream_looks_as_openais_does(alice: httpx.AsyncClient) -> None:
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
async def test_a_stream_has_no_usage_where_none_is_asked_for(alice: httpx.AsyncClient, options: dict[str, Any]) -> None:
    found = chunks((await ask(alice, stream=True, **options)).text)
    assert all("usage" not in each for each in found[:-1])
    assert all(each["choices"] for each in found[:-1])


async def test_a_reply_that_was_cut_off_says_so(alice: httpx.AsyncClient) -> None:
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
async def test_the_engine_knows_best_why_a_reply_ended(
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


async def test_models_are_listed_as_openais_are(alice: httpx.AsyncClient) -> None:
    listed = (await alice.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["demo-mini", "demo-pro"]
    assert (await alice.get("/v1/models/demo-pro")).json() == listed["data"][1]
    unknown = await alice.get("/v1/models/gpt-5")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


class TestRequests:
    async def test_what_the_client_remembers_is_what_the_model_reads(self) -> None:
        engine = ControlledEngine(CATALOGUE)
        async with api(engine=engine) as service:
            alice = await service.person()
            said = (
                {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
                {"role": "user", "content": "I am Ann."},
                {"role": "user", "content": "Hello!", "name": "Ann"},
                {"role": "assistant", "content": "Hello Ann.", "refusal": None, "tool_calls": None},
                {"role": "system", "content": "And kind."},
                {"role": "user", "content": "Who am I?"},
            )
            wanted = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["\n", "END"], "max_tokens": 5}
            asking = asyncio.create_task(ask(alice, *said, **wanted))
            await eventually(lambda: bool(engine.generations))
            engine.last.say("Ann.")
            engine.last.end()
            assert (await asking).json()["choices"][0]["message"]["content"] == "Ann."
            request = engine.last.request
            assert request.turns == (
                Turn(Role.SYSTEM, "Be brief.\n\nAnd kind."),
                Turn(Role.USER, "I am Ann.\n\nHello!"),
                Turn(Role.ASSISTANT, "Hello Ann."),
                Turn(Role.USER, "Who am I?"),
            )
            assert (request.temperature, request.top_p, request.seed) == (0.5, 0.9, 7)
            assert (request.stop, request.max_tokens) == (("\n", "END"), 5)

    @pytest.mark.parametrize("prefix", ["chatcmpl-", ""])
    async def test_a_reply_is_stopped_by_its_id_with_or_without_what_stands_before_it(self, prefix: str) -> None:
        async with served() as service:
            alice, bob = await service.person(), await service.person("bob")
            body = completion({"role": "user", "content": "a [[tokens:500]] [[pause:0.02]]"}, stream=True)
            async with alice.stream("POST", "/v1/chat/completions", json=body) as response:
                lines = response.aiter_lines()
                first = json.loads((await anext(lines)).removeprefix("data: "))["id"]
                stop = f"/chat/interactions/{first.replace('chatcmpl-', prefix)}/stop"
                assert (await bob.post(stop)).status_code == 404
                stopping = await alice.post(stop)
                rest = [line async for line in lines if line.startswith("data: ")]
            assert (stopping.status_code, stopping.json()["id"]) == (202, first.removeprefix("chatcmpl-"))
            assert (rest[-1], len(rest) < 100) == ("data: [DONE]", True)

    async def test_requests_are_in_the_history_and_the_bill_and_not_among_the_conversations(
        self, alice: httpx.AsyncClient
    ) -> None:
        answer = (await ask(alice, SYSTEM, HELLO, {"role": "assistant", "content": "Hi."}, HELLO)).json()
        assert (await alice.get("/chat/conversations")).json()["items"] == []
        (kept,) = (await alice.get("/chat/history")).json()["items"]
        assert (f"chatcmpl-{kept['id']}", kept["prompt"], kept["reply"]) == (answer["id"], "Hello there", "Hello there")
        charge, _grant = (await alice.get("/billing/transactions")).json()["items"]
        assert (charge["amount"], charge["interaction_id"]) == (-1, kept["id"])
        # Found by its id, it can be erased as any other.
        where = f"/chat/conversations/{kept['conversation_id']}"
        assert [each["id"] for each in (await alice.get(where)).json()["messages"]] == [kept["id"]]
        assert (await alice.delete(where)).status_code == 204
        assert (await alice.get("/chat/history")).json()["items"] == []

    async def test_a_stop_string_ends_the_reply_before_it(self, alice: httpx.AsyncClient) -> None:
        answer = (await ask(alice, {"role": "user", "content": "one two three"}, stop=" two")).json()
        assert answer["choices"][0]["message"]["content"] == "one"
        assert answer["choices"][0]["finish_reason"] == "stop"

    @pytest.mark.parametrize(
        "harmless",
        [
            {"user": "ann", "metadata": {"a": "b"}, "store": False, "parallel_tool_calls": True, "whatever": [1]},
            {"n": 1, "tools": [], "response_format": {"type": "text"}, "logprobs": False, "logit_bias": {}},
            {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "min_tokens": 0, "best_of": 1, "echo": False},
            dict.fromkeys(("top_k", "min_p", "guided_json", "prediction", "best_of", "echo", "structured_outputs")),
            {"model_extra": 1, "to_message": 2, "": 3, "__class__": 4, "wants_usage": None},
            {"presence_penalty": 0, "frequency_penalty": 0.0, "modalities": ["text"], "stream": False},
            dict.fromkeys(
                ("n", "tools", "stop", "seed", "stream", "max_tokens", "temperature", "top_p", "logprobs", "audio")
            ),
        ],
    )
    async def test_fields_that_change_nothing_are_ignored(
        self, alice: httpx.AsyncClient, harmless: dict[str, Any]
    ) -> None:
        assert (await ask(alice, **harmless)).status_code == 200

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"n": 2}, "n"),
            ({"n": 0}, "n"),
            ({"tools": [{"type": "function"}]}, "tools"),
            ({"functions": [{}]}, "functions"),
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"logprobs": True}, "logprobs"),
            ({"logit_bias": {"50256": -100}}, "logit_bias"),
            ({"presence_penalty": 0.5}, "presence_penalty"),
            ({"audio": {}}, "audio"),
            ({"top_k": 40}, "top_k"),
            ({"min_p": 0.1}, "min_p"),
            ({"repetition_penalty": 1.1}, "repetition_penalty"),
            ({"min_tokens": 5}, "min_tokens"),
            ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
            ({"best_of": 2}, "best_of"),
            ({"echo": True}, "echo"),
            ({"suffix": "!"}, "suffix"),
            ({"stop_token_ids": [2]}, "stop_token_ids"),
            ({"guided_json": {}}, "guided_json"),
            ({"guided_choice": ["yes", "no"]}, "guided_choice"),
            ({"structured_outputs": {"json": {}}}, "structured_outputs"),
            ({"stream": "yes"}, "stream"),
            ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"max_completion_tokens": -1}, "max_completion_tokens"),
            ({"max_tokens": 1.5}, "max_tokens"),
            ({"temperature": 2.5}, "temperature"),
            ({"temperature": "hot"}, "temperature"),
            ({"top_p": 0}, "top_p"),
            ({"top_p": 1.5}, "top_p"),
            ({"seed": 2**63}, "seed"),
            ({"stop": ""}, "stop"),
            ({"stop": ["a", ""]}, "stop"),
            ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
            ({"stop": "x" * 300}, "stop"),
            ({"stop": "\x00"}, "stop"),
            ({"stop": [1]}, "stop"),
            ({"stop": 5}, "stop"),
            ({"model": None}, "model"),
            ({"messages": None}, "messages"),
            ({"messages": []}, "messages"),
            ({"messages": [SYSTEM]}, "messages"),
            ({"messages": [HELLO] * 1_001}, "messages"),
            ({"messages": [HELLO, {"role": "assistant", "content": "Hi"}]}, "messages"),
            ({"messages": [{"role": "assistant", "content": "Hi"}, HELLO]}, "messages"),
            ({"messages": [5]}, "messages[0]"),
            ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
            ({"messages": [HELLO, {"role": "tool", "content": "x"}]}, "messages[1].role"),
            ({"messages": [{"role": "user"}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
            ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
            ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
            ({"messages": [{"role": "user", "content": ""}]}, "messages"),
            ({"messages": [{"role": "user", "content": "a\x00b"}]}, "messages"),
            ({"messages": [{"role": "system", "content": "a\x00b"}, HELLO]}, "messages[0]"),
            (
                {"messages": [HELLO, {"role": "assistant", "content": "x", "tool_calls": [{}]}, HELLO]},
                "messages[1].tool_calls",
            ),
        ],
    )
    async def test_what_cannot_be_done_is_refused_with_its_name(
        self, alice: httpx.AsyncClient, fields: dict[str, Any], param: str
    ) -> None:
        response = await ask(alice, **fields)
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
        assert error["message"].startswith(param)
        assert (await alice.get("/billing/balance")).json()["available"] == 100

    async def test_each_message_is_measured_by_itself_and_the_error_says_which(self, alice: httpx.AsyncClient) -> None:
        half, whole = ({"role": "user", "content": "x" * size} for size in (6_000, 10_000))
        long = {"role": "user", "content": "y" * 10_001}
        answer = {"role": "assistant", "content": "Hi"}

        assert (await ask(alice, half, half, SYSTEM, answer, whole, half)).status_code == 200
        (kept,) = (await alice.get("/chat/history")).json()["items"]
        assert kept["prompt"] == whole["content"] + "\n\n" + half["content"]
        for messages, param in (
            ((SYSTEM, HELLO, answer, long, HELLO), "messages[3]"),
            ((HELLO, {"role": "system", "content": "y" * 10_001}, HELLO), "messages[1]"),
            ((HELLO, long), "messages"),
        ):
            refused = await ask(alice, *messages)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["param"]) == (413, "too_large", param)
            assert error["message"].startswith(f"{param}: must be at most 10000 characters")

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_prompt_that_only_the_engine_finds_too_long_is_about_the_messages(self, stream: bool) -> None:
        engine = ControlledEngine(CATALOGUE)
        async with api(engine=engine) as running:
            alice = await running.person()
            asking = asyncio.create_task(ask(alice, stream=stream))
            await eventually(lambda: bool(engine.generations))
            engine.last.fail(TooLarge.of("message", "does not fit into this model's window"))
            response = await asking
        error = (chunks(response.text)[-1] if stream else response.json())["error"]
        assert (error["code"], error["param"]) == ("too_large", "messages")
        assert error["message"].startswith("messages: does not fit")

    async def test_what_the_system_says_last_counts_from_the_beginning(self) -> None:
        engine = ControlledEngine(CATALOGUE)
        async with api(engine=engine) as running:
            alice = await running.person()
            asking = asyncio.create_task(ask(alice, HELLO, SYSTEM))
            await eventually(lambda: bool(engine.generations))
            engine.last.end()
            await asking
        assert engine.last.request.turns == (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hello there"))

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"model": "\\ud800", "messages": 1}']
    )
    async def test_what_is_no_request_at_all_is_refused_in_openais_shape(
        self, alice: httpx.AsyncClient, content: bytes
    ) -> None:
        headers = {"Content-Type": "application/json"}
        response = await alice.post("/v1/chat/completions", content=content, headers=headers)
        assert response.status_code == 400
        assert set(response.json()["error"]) == {"message", "type", "param", "code", "request_id"}

    async def test_lone_surrogates_are_refused_wherever_they_are(self, alice: httpx.AsyncClient) -> None:
        for place in ('"role": "user", "content": "%s"', '"role": "system", "content": "%s"'):
            message = "{" + place % "\\ud800" + "}"
            content = '{"model": "demo-mini", "messages": [' + message + ', {"role": "user", "content": "x"}]}'
            headers = {"Content-Type": "application/json"}
            response = await alice.post("/v1/chat/completions", content=content.encode(), headers=headers)
            assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1", 404, "not_found"),
            ("POST", "/v1/embeddings", 404, "not_found"),
            ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
            ("POST", "/v1/models", 405, "method_not_allowed"),
        ],
    )
    async def test_addresses_that_answer_nothing(
        self, alice: httpx.AsyncClient, method: str, path: str, status: int, code: str
    ) -> None:
        response = await alice.request(method, path)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert response.headers["content-type"] == "application/json"

    async def test_who_is_unknown(self, service: Api) -> None:
        response = await service.client().get("/v1/models", headers={"Authorization": "Bearer cb_x_y"})
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (401, "authentication_error", "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"

    async def test_too_few_credits(self, service: Api) -> None:
        async with api(welcome_credits=2) as poor:
            alice = await poor.person()
            response = await ask(alice, model="demo-pro")
            error = response.json()["error"]
            assert (response.status_code, error["type"]) == (402, "insufficient_quota")
            assert (error["code"], error["required"], error["available"]) == ("insufficient_credits", 3, 2)

    async def test_an_unknown_model(self, alice: httpx.AsyncClient) -> None:
        error = (await ask(alice, model="gpt-5")).json()["error"]
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert "demo-mini, demo-pro" in error["message"]

    async def test_a_failure_is_free(self, alice: httpx.AsyncClient) -> None:
        response = await ask(alice, {"role": "user", "content": "x [[fail:after:1]]"})
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (502, "server_error", "generation_failed")
        assert error["credits_charged"] == 0
        assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}

    async def test_a_failure_in_the_middle_of_a_stream_is_its_last_event_and_free(
        self, alice: httpx.AsyncClient
    ) -> None:
        response = await ask(alice, {"role": "user", "content": "a b c [[fail:after:2]]"}, stream=True)
        *_, last = chunks(response.text)
        assert last["error"]["code"] == "generation_failed"
        assert "[DONE]" not in response.text
        assert (await alice.get("/billing/balance")).json()["available"] == 100

    async def test_a_body_that_is_too_large_and_one_that_is_no_json(self, alice: httpx.AsyncClient) -> None:
        large = await ask(alice, {"role": "user", "content": "x" * 2_000_000})
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
        long = await ask(alice, {"role": "user", "content": "x" * 10_001})
        assert (long.status_code, long.json()["error"]["param"]) == (413, "messages")
        form = await alice.post("/v1/chat/completions", data={"model": "demo-mini"})
        assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")


class TestOnce:
    async def test_the_same_request_twice_is_charged_once_in_either_form(self, alice: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "k"}
        first = await alice.post("/v1/chat/completions", json=completion(), headers=key)
        again = await alice.post("/v1/chat/completions", json=completion(), headers=key)
        assert first.json() == again.json()
        streamed = await alice.post("/v1/chat/completions", json=completion(stream=True), headers=key)
        assert chunks(streamed.text)[1]["choices"][0]["delta"] == {"content": "Hello there"}
        assert (await alice.get("/billing/balance")).json()["balance"] == 99

    @pytest.mark.parametrize("other", [{"seed": 1}, {"top_p": 0.5}, {"stop": "x"}, {"messages": [SYSTEM, HELLO]}])
    async def test_another_request_with_the_key_is_refused(
        self, alice: httpx.AsyncClient, other: dict[str, Any]
    ) -> None:
        key = {"Idempotency-Key": "k"}
        await alice.post("/v1/chat/completions", json=completion(), headers=key)
        response = await alice.post("/v1/chat/completions", json=completion(**other), headers=key)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "idempotency_mismatch")

    async def test_while_the_first_runs_the_second_is_told_to_wait(self, alice: httpx.AsyncClient) -> None:
        slow = completion({"role": "user", "content": "x [[sleep:0.3]]"})
        key = {"Idempotency-Key": "k"}
        asked = (alice.post("/v1/chat/completions", json=slow, headers=key) for _ in range(2))
        statuses = sorted([response.status_code for response in await asyncio.gather(*asked)])
        assert statuses == [200, 409]
        assert (await alice.get("/billing/balance")).json()["balance"] == 99


class TestDisconnects:
    async def test_a_stream_is_charged_for_what_was_delivered_and_the_writing_stops(self) -> None:
        async with served() as service:
            alice = await service.person()
            body = completion({"role": "user", "content": "a b c [[tokens:500]] [[pause:0.02]]"}, stream=True)
            async with alice.stream("POST", "/v1/chat/completions", json=body) as response:
                seen = 0
                async for line in response.aiter_lines():
                    seen += line.startswith("data: ")
                    if seen == 4:
                        break
            await service.settled()
            (kept,) = (await alice.get("/chat/history")).json()["items"]
            assert (kept["outcome"], kept["credits_charged"]) == ("stopped", 1)
            assert 3 <= kept["usage"]["completion_tokens"] < 100

    async def test_who_waits_for_the_whole_and_leaves_pays_nothing(self) -> None:
        async with served() as service:
            alice = await service.person()
            with pytest.raises(httpx.ReadTimeout):
                await alice.post(
                    "/v1/chat/completions", json=completion({"role": "user", "content": "[[sleep:3]] x"}), timeout=0.3
                )
            await service.settled()
            assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
