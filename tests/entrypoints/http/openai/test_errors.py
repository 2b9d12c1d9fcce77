"""Errors, repeated requests and disconnects at `/v1`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.entrypoints.http.openai.requests import HELLO, SYSTEM, ask, chunks, completion
from tests.kit.http import Api, api, served


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1", 404, "not_found"),
            ("POST", "/v1/embeddings", 404, "not_found"),
            ("GET", "/v1/models/demo-mini/permissions", 404, "model_not_found"),
            ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
            ("POST", "/v1/models", 405, "method_not_allowed"),
        ],
    )
    async def test_unknown_addresses_and_methods(
        self, alice: httpx.AsyncClient, method: str, path: str, status: int, code: str
    ) -> None:
        response = await alice.request(method, path)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert response.headers["content-type"] == "application/json"

    async def test_an_error_before_routing(self, alice: httpx.AsyncClient) -> None:
        response = await alice.get("/v1/models", headers={"Host": "not a host"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_request")

    async def test_addresses_that_only_begin_alike_are_not_openais(self, alice: httpx.AsyncClient) -> None:
        response = await alice.get("/v10/models")
        assert response.headers["content-type"] == "application/problem+json"

    async def test_an_unknown_api_key(self, service: Api) -> None:
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

    async def test_a_body_that_is_too_large_and_one_that_is_not_json(self, alice: httpx.AsyncClient) -> None:
        large = await ask(alice, {"role": "user", "content": "x" * 2_000_000})
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
        form = await alice.post("/v1/chat/completions", data={"model": "demo-mini"})
        assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")


class TestIdempotency:
    async def test_the_same_request_twice_is_charged_once_in_either_form(self, alice: httpx.AsyncClient) -> None:
        key = {"Idempotency-Key": "k"}
        first = await alice.post("/v1/chat/completions", json=completion(), headers=key)
        again = await alice.post("/v1/chat/completions", json=completion(), headers=key)
        assert first.json() == again.json()
        streamed = await alice.post("/v1/chat/completions", json=completion(stream=True), headers=key)
        assert chunks(streamed.text)[1]["choices"][0]["delta"] == {"content": "Hello there"}
        assert (await alice.get("/billing/balance")).json()["balance"] == 99

    @pytest.mark.parametrize("other", [{"seed": 1}, {"top_p": 0.5}, {"stop": "x"}, {"messages": [SYSTEM, HELLO]}])
    async def test_another_request_with_the_key_is_rejected(
        self, alice: httpx.AsyncClient, other: dict[str, Any]
    ) -> None:
        key = {"Idempotency-Key": "k"}
        await alice.post("/v1/chat/completions", json=completion(), headers=key)
        response = await alice.post("/v1/chat/completions", json=completion(**other), headers=key)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "idempotency_mismatch")

    async def test_the_second_request_is_rejected_while_the_first_runs(self, alice: httpx.AsyncClient) -> None:
        slow = completion({"role": "user", "content": "x [[sleep:0.3]]"})
        key = {"Idempotency-Key": "k"}
        requests = (alice.post("/v1/chat/completions", json=slow, headers=key) for _ in range(2))
        statuses = sorted([response.status_code for response in await asyncio.gather(*requests)])
        assert statuses == [200, 409]
        assert (await alice.get("/billing/balance")).json()["balance"] == 99


class TestDisconnects:
    async def test_a_closed_stream_is_charged_for_the_delivered_text_and_stops_the_reply(self) -> None:
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

    async def test_a_waiting_client_that_disconnects_pays_nothing(self) -> None:
        async with served() as service:
            alice = await service.person()
            with pytest.raises(httpx.ReadTimeout):
                await alice.post(
                    "/v1/chat/completions", json=completion({"role": "user", "content": "[[sleep:3]] x"}), timeout=0.3
                )
            await service.settled()
            assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
