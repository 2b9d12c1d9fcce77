"""Every GET answers HEAD, and compressed bodies are refused."""

from __future__ import annotations

import gzip

import pytest

from tests.kit.http import Api, api

OPEN = ("/", "/health", "/health/ready", "/docs", "/docs/openapi.json")
OF_A_PERSON = (
    "/auth/me",
    "/auth/api-keys",
    "/chat/models",
    "/chat/status",
    "/chat/history",
    "/chat/conversations",
    "/billing/balance",
    "/billing/packages",
    "/billing/transactions",
    "/v1/models",
    "/v1/models/demo-mini",
    "/v1/models/unknown",
    "/auth/login",
    "/nothing",
)
VARYING = {"x-request-id", "date"}


@pytest.mark.parametrize("path", [*OPEN, *OF_A_PERSON])
async def test_head_has_the_status_and_headers_of_get_and_no_body(service: Api, path: str) -> None:
    client = await service.person()
    got, head = await client.get(path), await client.head(path)
    assert head.status_code == got.status_code
    assert [pair for pair in head.headers.items() if pair[0] not in VARYING] == [
        pair for pair in got.headers.items() if pair[0] not in VARYING
    ]
    assert head.content == b""


async def test_head_answers_on_every_get_route_of_the_document(service: Api) -> None:
    client = await service.person()
    document = (await client.get("/docs/openapi.json")).json()
    paths = [path for path, item in document["paths"].items() if "get" in item]
    assert len(paths) > 10
    for path in paths:
        address = path.replace("{", "").replace("}", "")
        assert (await client.head(address)).status_code == (await client.get(address)).status_code, path


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
@pytest.mark.parametrize("path", ["/auth/login", "/chat/message", "/v1/chat/completions", "/auth/logout", "/nothing"])
async def test_a_body_with_a_content_encoding_is_415(service: Api, path: str, encoding: str) -> None:
    client = await service.person()
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await client.post(path, content=gzip.compress(b"{}"), headers=headers)
    assert answer.status_code == 415
    problem = answer.json()
    if path.startswith("/v1"):
        assert problem["error"]["code"] == "unsupported_media_type"
        assert "Content-Encoding" in problem["error"]["message"]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["code"], "Content-Encoding" in problem["detail"]) == ("unsupported_media_type", True)


async def test_identity_is_no_encoding_and_no_body_has_none() -> None:
    async with api() as service:
        client = service.client()
        login = {"username": "x", "password": "wrong password"}
        answer = await client.post("/auth/login", json=login, headers={"Content-Encoding": "identity"})
        assert answer.status_code == 401
        assert (await client.get("/health", headers={"Content-Encoding": "gzip"})).status_code == 200
