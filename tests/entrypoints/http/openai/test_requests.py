"""Requests to `/v1`: supported, ignored and rejected fields."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from chatbill.domain.chat.catalogue import Catalogue
from chatbill.domain.chat.conversations import Role, Turn
from tests.entrypoints.http.openai.requests import HELLO, SYSTEM, ask, completion
from tests.kit.engines import ControlledEngine
from tests.kit.http import api, served
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually


class TestRequests:
    async def test_the_model_reads_the_history_of_the_request(self) -> None:
        engine = ControlledEngine(CATALOGUE)
        async with api(engine=engine) as service:
            alice = await service.person()
            messages = (
                {
                    "role": "developer",
                    "content": [{"type": "text", "text": "Be brief,"}, {"type": "text", "text": "then go."}],
                },
                {"role": "user", "content": "I am Ann."},
                {"role": "user", "content": "Hello!", "name": "Ann"},
                {"role": "assistant", "content": "Hello Ann.", "refusal": None, "tool_calls": None},
                {"role": "system", "content": "And kind."},
                {"role": "user", "content": "Who am I?"},
            )
            wanted = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["\n", "END"], "max_tokens": 5}
            asking = asyncio.create_task(ask(alice, *messages, **wanted))
            await eventually(lambda: bool(engine.generations))
            engine.last.say("Ann.")
            engine.last.end()
            assert (await asking).json()["choices"][0]["message"]["content"] == "Ann."
            request = engine.last.request
            assert request.turns == (
                Turn(Role.SYSTEM, "Be brief,\nthen go.\n\nAnd kind."),
                Turn(Role.USER, "I am Ann.\n\nHello!"),
                Turn(Role.ASSISTANT, "Hello Ann."),
                Turn(Role.USER, "Who am I?"),
            )
            assert (request.temperature, request.top_p, request.seed) == (0.5, 0.9, 7)
            assert (request.stop, request.max_tokens) == (("\n", "END"), 5)

    @pytest.mark.parametrize("prefix", ["chatcmpl-", ""])
    async def test_a_reply_is_stopped_by_its_id_with_or_without_the_prefix(self, prefix: str) -> None:
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

    async def test_requests_are_in_the_history_and_transactions_but_not_in_the_conversations(
        self, alice: httpx.AsyncClient
    ) -> None:
        answer = (await ask(alice, SYSTEM, HELLO, {"role": "assistant", "content": "Hi."}, HELLO)).json()
        assert (await alice.get("/chat/conversations")).json()["items"] == []
        (kept,) = (await alice.get("/chat/history")).json()["items"]
        assert (f"chatcmpl-{kept['id']}", kept["prompt"], kept["reply"]) == (answer["id"], "Hello there", "Hello there")
        charge, _grant = (await alice.get("/billing/transactions")).json()["items"]
        assert (charge["amount"], charge["interaction_id"]) == (-1, kept["id"])
        # The conversation can be deleted by its id.
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
    async def test_fields_without_effect_are_ignored(self, alice: httpx.AsyncClient, harmless: dict[str, Any]) -> None:
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
            ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": "a\x00b"}]}, "messages[0].content"),
            ({"messages": [{"role": "system", "content": "a\x00b"}, HELLO]}, "messages[0].content"),
            ({"messages": [HELLO, {"role": "system", "content": "a\x00b"}]}, "messages[1].content"),
            (
                {"messages": [HELLO, {"role": "assistant", "content": "x", "tool_calls": [{}]}, HELLO]},
                "messages[1].tool_calls",
            ),
        ],
    )
    async def test_unsupported_fields_are_rejected_by_name(
        self, alice: httpx.AsyncClient, fields: dict[str, Any], param: str
    ) -> None:
        response = await ask(alice, **fields)
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
        assert error["message"].startswith(param)
        assert (await alice.get("/billing/balance")).json()["available"] == 100

    async def test_the_length_of_each_message_is_limited_and_the_error_names_the_message(
        self,
    ) -> None:
        half, whole = ({"role": "user", "content": "x" * size} for size in (6_000, 10_000))
        long = {"role": "user", "content": "y" * 10_001}
        answer = {"role": "assistant", "content": "Hi"}
        catalogue = Catalogue(tuple(replace(model, context_tokens=100_000) for model in CATALOGUE.values()))

        async with api(catalogue=catalogue) as service:
            alice = await service.person()
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

    async def test_a_system_message_at_the_end_applies_from_the_beginning(self) -> None:
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
    async def test_a_malformed_request_is_rejected_in_the_format_of_openai(
        self, alice: httpx.AsyncClient, content: bytes
    ) -> None:
        headers = {"Content-Type": "application/json"}
        response = await alice.post("/v1/chat/completions", content=content, headers=headers)
        assert response.status_code == 400
        assert set(response.json()["error"]) == {"message", "type", "param", "code", "request_id"}

    async def test_lone_surrogates_are_rejected_in_every_field(self, alice: httpx.AsyncClient) -> None:
        for place in ('"role": "user", "content": "%s"', '"role": "system", "content": "%s"'):
            message = "{" + place % "\\ud800" + "}"
            content = '{"model": "demo-mini", "messages": [' + message + ', {"role": "user", "content": "x"}]}'
            headers = {"Content-Type": "application/json"}
            response = await alice.post("/v1/chat/completions", content=content.encode(), headers=headers)
            assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "f"}}])
async def test_a_tool_choice_without_tools_is_400_and_names_its_field(alice: httpx.AsyncClient, choice: Any) -> None:
    without: list[dict[str, Any]] = [{}, {"tools": []}, {"tools": None}]
    for tools in without:
        answer = await ask(alice, HELLO, tool_choice=choice, **tools)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tool_choice")
        assert "tools" in answer.json()["error"]["message"]
    for choice_without_effect in (None, "none"):
        assert (await ask(alice, HELLO, tool_choice=choice_without_effect)).status_code == 200


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": ""}], "messages[0].content"),
        ([HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": " \n"}], "messages[2].content"),
        ([{"role": "user", "content": []}], "messages[0].content"),
        ([{"role": "user", "content": ""}, {"role": "system", "content": "Be brief."}], "messages[0].content"),
    ],
)
async def test_empty_content_is_reported_at_its_own_field(
    alice: httpx.AsyncClient, messages: list[Any], param: str
) -> None:
    answer = await ask(alice, *messages)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.json()["error"]["message"] == f"{param}: must not be empty"
