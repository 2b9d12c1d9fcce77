"""Invalid input is answered with a documented problem, never with 500 or the message of a validator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.kit.http import say, served

NESTED = "[" * 100_000
WRONG_MESSAGES: list[tuple[str, Any, str]] = [
    ("an unknown model", say("hi", model="gpt-99"), "model"),
    ("a model that is a number", say("hi", model=5), "model"),
    ("a model with NUL", say("hi", model="a\x00b"), "model"),
    ("no model", {"message": "hi"}, "model"),
    ("no message", {"model": "demo-mini"}, "message"),
    ("an empty message", say(""), "message"),
    ("a blank message", say(" \n\t"), "message"),
    ("a message that is a number", {"model": "demo-mini", "message": 5}, "message"),
    ("a message that is null", {"model": "demo-mini", "message": None}, "message"),
    ("a message that is a list", {"model": "demo-mini", "message": ["hi"]}, "message"),
    ("a message with NUL", say("a\x00b"), "message"),
    ("max_tokens as text", say("hi", max_tokens="7"), "max_tokens"),
    ("max_tokens as a truth", say("hi", max_tokens=True), "max_tokens"),
    ("max_tokens as a fraction", say("hi", max_tokens=1.5), "max_tokens"),
    ("max_tokens of zero", say("hi", max_tokens=0), "max_tokens"),
    ("max_tokens below zero", say("hi", max_tokens=-(10**30)), "max_tokens"),
    ("temperature as text", say("hi", temperature="1"), "temperature"),
    ("temperature as a truth", say("hi", temperature=True), "temperature"),
    ("temperature too high", say("hi", temperature=2.1), "temperature"),
    ("temperature below zero", say("hi", temperature=-0.1), "temperature"),
    ("temperature without bounds", say("hi", temperature=10**400), "temperature"),
    ("an empty conversation id", say("hi", conversation_id=""), "conversation_id"),
    ("a long conversation id", say("hi", conversation_id="x" * 65), "conversation_id"),
    ("a conversation id with NUL", say("hi", conversation_id="\x00"), "conversation_id"),
    ("a conversation id that is a number", say("hi", conversation_id=7), "conversation_id"),
]
BROKEN = {
    "nothing": b"",
    "half an object": b'{"model": "demo-mini"',
    "no JSON": b"hello",
    "not UTF-8": b'{"model": "\xff"}',
    "an encoded surrogate": b'{"model": "\xed\xa0\x80"}',
    "a lone surrogate": rb'{"model": "demo-mini", "message": "\ud800 and more text behind it"}',
    "NaN": b'{"model": "demo-mini", "message": "hi", "temperature": NaN}',
    "infinity": b'{"model": "demo-mini", "message": "hi", "temperature": Infinity}',
    "a number out of range": b'{"model": "demo-mini", "message": "hi", "temperature": 1e999}',
    "a number of a million digits": b'{"max_tokens": ' + b"9" * 1_000_000 + b"}",
    "deep nesting": NESTED.encode(),
    "deep objects": b'{"a":' * 50_000,
    "null": b"null",
    "a list": b"[]",
    "a string": b'"hi"',
    "a number": b"5",
}


def _is_problem(response: httpx.Response, status: int | set[int], code: str) -> dict[str, Any]:
    problem: dict[str, Any] = response.json()
    assert response.status_code in ({status} if isinstance(status, int) else status), problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:chatbill:problem:{code}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    for word in ("pydantic", "msgspec", "Traceback", "Expected `", "Input should", "litestar"):
        assert word not in response.text
    return problem


@pytest.mark.parametrize(("body", "field"), [row[1:] for row in WRONG_MESSAGES], ids=[row[0] for row in WRONG_MESSAGES])
async def test_an_invalid_message_names_its_field(alice: httpx.AsyncClient, body: Any, field: str) -> None:
    problem = _is_problem(await alice.post("/chat/message", json=body), 422, "invalid_request")
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert problem["errors"][0]["message"] != "is not valid"
    assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("path", ["/chat/message", "/auth/login", "/billing/add"])
async def test_a_body_that_is_not_a_json_object_is_malformed(alice: httpx.AsyncClient, path: str, body: bytes) -> None:
    problem = _is_problem(await alice.post(path, content=body), 400, "invalid_request")
    assert [fault["field"] for fault in problem["errors"]] == ["body"]


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "x"])
async def test_other_media_types_are_rejected(alice: httpx.AsyncClient, media_type: str) -> None:
    response = await alice.post("/chat/message", content=b"{}", headers={"Content-Type": media_type})
    _is_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/vnd.api+json", ""])
async def test_all_media_types_of_json_are_accepted(alice: httpx.AsyncClient, media_type: str) -> None:
    body = json.dumps(say("hi")).encode()
    response = await alice.post("/chat/message", content=body, headers={"Content-Type": media_type})
    assert response.status_code == 200


async def test_a_long_message_is_too_large(alice: httpx.AsyncClient) -> None:
    problem = _is_problem(await alice.post("/chat/message", json=say("x" * 10_001)), 413, "too_large")
    assert problem["errors"][0]["field"] == "message"


async def test_unknown_fields_are_ignored(alice: httpx.AsyncClient) -> None:
    response = await alice.post("/chat/message", json=say("hi", colour="blue"))
    assert response.status_code == 200


async def test_the_last_value_of_a_repeated_field_is_used(alice: httpx.AsyncClient) -> None:
    body = b'{"model": "nope", "model": "demo-mini", "message": "hi"}'
    assert (await alice.post("/chat/message", content=body)).status_code == 200


async def test_a_large_max_tokens_is_limited_by_the_model(alice: httpx.AsyncClient) -> None:
    response = await alice.post("/chat/message", json=say("a [[tokens:9999]]", max_tokens=10**30))
    assert response.json()["usage"]["completion_tokens"] == 512


@pytest.mark.parametrize("body", [{}, {"package": "small", "amount": 5}, {"package": None}])
async def test_an_order_has_a_package_or_an_amount(alice: httpx.AsyncClient, body: Any) -> None:
    _is_problem(await alice.post("/billing/add", json=body), 422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"package": "huge"}, "package"),
        ({"package": 5}, "package"),
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"amount": "5"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1.5}, "amount"),
    ],
)
async def test_an_invalid_order_names_its_field(alice: httpx.AsyncClient, body: Any, field: str) -> None:
    problem = _is_problem(await alice.post("/billing/add", json=body), 422, "invalid_request")
    assert [fault["field"] for fault in problem["errors"]] == [field]


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\tb"])
async def test_an_idempotency_key_must_be_short_printable_ascii(alice: httpx.AsyncClient, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    for path, body in (("/chat/message", say("hi")), ("/billing/add", {"amount": 5})):
        problem = _is_problem(await alice.post(path, json=body, headers=headers), 422, "invalid_request")
        assert problem["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        (f"limit={'9' * 50}", "limit"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%F0%9F%92%A9", "cursor"),
        ("cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OXx4", "cursor"),
        (f"cursor={'9' * 5_000}", "cursor"),
        ("from=yesterday", "from"),
        ("from=", "from"),
        ("from=5", "from"),
        ("to=2026-13-01", "to"),
        ("to=2026-01-01T25:00:00Z", "to"),
        ("from=0001-01-01T00:00:00%2B23:59", "from"),
        ("to=9999-12-31T23:59:59-23:59", "to"),
        ("from=%FF%00", "from"),
    ],
)
@pytest.mark.parametrize("path", ["/chat/history", "/billing/transactions"])
async def test_an_invalid_parameter_is_named(alice: httpx.AsyncClient, path: str, query: str, field: str) -> None:
    problem = _is_problem(await alice.get(f"{path}?{query}"), 422, "invalid_request")
    assert [fault["field"] for fault in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/chat/history?model=nope", "model"),
        ("/chat/history?q=a%00b", "q"),
        (f"/chat/history?q={'x' * 201}", "q"),
        ("/billing/transactions?kind=gift", "kind"),
        ("/billing/transactions?kind=", "kind"),
        ("/chat/conversations?limit=0", "limit"),
        ("/chat/conversations?cursor=x", "cursor"),
        ("/chat/conversations/x?limit=0", "limit"),
    ],
)
async def test_an_invalid_filter_is_named(alice: httpx.AsyncClient, path: str, field: str) -> None:
    problem = _is_problem(await alice.get(path), 422, "invalid_request")
    assert [fault["field"] for fault in problem["errors"]] == [field]


@pytest.mark.parametrize("name", ["x", "%00", "%FF", "x" * 65, "%F0%9F%92%A9", "..%2F..", "a%0Ab"])
async def test_an_unknown_id_is_not_found(alice: httpx.AsyncClient, name: str) -> None:
    answers = [
        await alice.get(f"/chat/conversations/{name}"),
        await alice.patch(f"/chat/conversations/{name}", json={"title": "x"}),
        await alice.delete(f"/chat/conversations/{name}"),
        await alice.post(f"/chat/interactions/{name}/stop"),
    ]
    for answer in answers:
        _is_problem(answer, 404, "not_found")


@pytest.mark.parametrize("title", ["", "   ", "x" * 201, 5, None, "a\x00b"])
async def test_an_invalid_title_is_rejected(alice: httpx.AsyncClient, title: Any) -> None:
    conversation_id = (await alice.post("/chat/message", json=say("hi"))).json()["conversation_id"]
    problem = _is_problem(
        await alice.patch(f"/chat/conversations/{conversation_id}", json={"title": title}), 422, "invalid_request"
    )
    assert [fault["field"] for fault in problem["errors"]] == ["title"]


async def test_a_client_gets_the_answer_to_a_body_that_is_too_large() -> None:
    async with served() as service:
        alice = await service.person()

        async def unannounced() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield b" " * 65_536

        for content in (b" " * 8_388_608, unannounced()):
            _is_problem(await alice.post("/chat/message", content=content), 413, "too_large")
        assert (await alice.get("/auth/me")).status_code == 200
