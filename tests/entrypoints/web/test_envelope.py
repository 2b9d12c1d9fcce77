"""Request ids, headers, logs and errors of every response."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import pytest

from chatbill.adapters.memory import MemoryStore
from chatbill.application.ports.rate_limits import Limit
from chatbill.application.ports.store import Snapshot, StoreUnavailable, Transaction
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ChatbillError, ModelUnavailable, Overloaded, RateLimited
from chatbill.entrypoints.http import HttpConfig
from chatbill.entrypoints.web.problem_kinds import KINDS
from chatbill.entrypoints.web.problems import problem_of
from chatbill.testing import FreeRateLimits
from tests.kit.engines import ControlledEngine
from tests.kit.http import Api, api, say
from tests.kit.support import CATALOGUE, PASSWORD
from tests.kit.waiting import eventually

T = TypeVar("T")


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/auth/me", "/docs", "/docs/openapi.json", "/docs/nothing"])
async def test_every_response_has_a_request_id_and_safe_headers(service: Api, path: str) -> None:
    response = await service.client().get(path)
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"


async def test_a_valid_request_id_is_kept(service: Api) -> None:
    response = await service.client().get("/nowhere", headers={"X-Request-Id": "abc-1.2_3"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "abc-1.2_3"


@pytest.mark.parametrize("sent", [b"", b"a b", b"x" * 129, b'"quoted"', b"-dash", b"\xff", b"a;b"])
async def test_an_invalid_request_id_is_replaced(service: Api, sent: bytes) -> None:
    response = await service.client().get("/health", headers=[(b"X-Request-Id", sent)])
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/chat", 404, "not_found"),
        ("GET", "/docs/swagger", 404, "not_found"),
        ("PUT", "/health", 405, "method_not_allowed"),
        ("GET", "/chat/message", 405, "method_not_allowed"),
        ("BREW", "/health", 405, "method_not_allowed"),
    ],
)
async def test_unknown_addresses_and_methods_are_problems(
    service: Api, method: str, path: str, status: int, code: str
) -> None:
    response = await service.client().request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert ("allow" in response.headers) == (status == 405)


def _access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == "request"]


async def test_each_request_is_logged_once_without_secrets(
    alice: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    me = (await alice.get("/auth/me")).json()
    reply = (await alice.post("/chat/message", json=say("my secret words"))).json()
    await alice.get(f"/chat/conversations/{reply['conversation_id']}?cursor=x")
    lines = _access_lines(caplog)
    assert [(line["method"], line["route"], line["status"], line["user_id"]) for line in lines] == [
        ("GET", "/auth/me", 200, me["id"]),
        ("POST", "/chat/message", 200, me["id"]),
        ("GET", "/chat/conversations/{conversation_id}", 422, me["id"]),
    ]
    assert all(line["ms"] >= 0 for line in lines)
    everything = "".join(str(vars(record)) for record in caplog.records)
    assert "my secret words" not in everything
    assert alice.headers["Authorization"].removeprefix("Bearer ") not in everything


async def test_probes_are_not_logged_at_level_info(service: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await service.client().get("/health")
    assert _access_lines(caplog) == []


class _UnavailableStore(MemoryStore):
    """A store that can become unavailable."""

    gone = False
    error: Exception = StoreUnavailable("postgresql://user:secret@db is down")

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        if self.gone:
            raise self.error
        return await super().read(query)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        if self.gone:
            raise self.error
        return await super().write(work)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailable("postgresql://user:secret@db is down"), 503, "store_unavailable"),
        (RuntimeError("secret"), 500, "internal_error"),
        (KeyError("secret"), 500, "internal_error"),
        (ValueError("secret"), 500, "internal_error"),
        (RecursionError("secret"), 500, "internal_error"),
    ],
)
async def test_an_unexpected_error_is_logged_and_its_details_are_hidden(
    caplog: pytest.LogCaptureFixture, error: Exception, status: int, code: str
) -> None:
    store = _UnavailableStore()
    async with api(store=store) as service:
        alice = await service.person()
        store.gone, store.error = True, error
        answers = [
            await alice.get("/auth/me"),
            await alice.post("/chat/message", json=say("hi")),
            await alice.post("/auth/login", json={"username": "alice", "password": PASSWORD}),
        ]
        store.gone = False
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert "secret" not in answer.text
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert any(record.exc_info for record in caplog.records)


async def test_readiness_names_the_missing_parts() -> None:
    store = _UnavailableStore()
    async with api(store=store) as service:
        client = service.client()
        assert (await client.get("/health/ready")).json()["ready"] is True
        store.gone = True
        await service.world.engine.close()
        response = await client.get("/health/ready")
        assert response.status_code == 503
        assert response.json() == {
            "ready": False,
            "status": "unready",
            "database": False,
            "models": {"demo-mini": False, "demo-pro": False},
            "missing": ["database", "model"],
            "why": {
                "database": "It does not work; the service's log has the cause.",
                "model": "demo-mini: the service is stopping; demo-pro: the service is stopping",
            },
        }
        assert (await client.get("/health")).json() == {"status": "ok"}


class _StrictLimits(FreeRateLimits):
    """Limits that are always reached, and that record the keys they count."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def hit(self, limit: Limit, who: str) -> None:
        self.seen.append(who)
        raise RateLimited(retry_after_s=17)

    async def forget(self, limit: Limit, who: str) -> None:
        self.seen.clear()


async def test_a_reached_limit_is_answered_with_retry_after() -> None:
    async with api(rate_limits=_StrictLimits()) as service:
        response = await service.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
        assert response.headers["retry-after"] == "17"


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/chat/message", {"model": "demo-mini", "message": "Hello"}),
        ("/v1/chat/completions", {"model": "demo-mini", "messages": [{"role": "user", "content": "Hello"}]}),
    ],
)
@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (Overloaded(retry_after_s=3_600), "3600"),
        (ModelUnavailable("demo-mini", Description("model_server_busy"), retry_after_s=5), "5"),
        (ModelUnavailable("demo-mini", Description("model_not_set_up")), None),
    ],
)
async def test_a_temporary_failure_is_answered_with_retry_after(
    address: str, body: dict[str, Any], error: ChatbillError, retry_after: str | None
) -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as service:
        alice = await service.person()
        asking = asyncio.create_task(alice.post(address, json=body))
        await eventually(lambda: bool(engine.generations))
        engine.last.fail(error)
        accepted = await asking
        engine.refusal = error
        refused = await alice.post(address, json=body)

    assert [answer.status_code for answer in (accepted, refused)] == [503, 503]
    assert [answer.headers.get("Retry-After") for answer in (accepted, refused)] == [retry_after] * 2


async def test_limits_count_the_client_behind_a_trusted_proxy() -> None:
    account = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
    for trusted, expected in (((), "127.0.0.1"), (("127.0.0.0/8",), "192.0.2.7")):
        limits = _StrictLimits()
        async with api(HttpConfig(trusted_proxies=trusted), rate_limits=limits) as service:
            headers = {"X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
            await service.client().post("/auth/register", json=account, headers=headers)
        assert limits.seen == [expected]


async def test_only_configured_origins_may_call_from_a_page() -> None:
    async with api(HttpConfig(cors_origins=("https://shop.example",))) as service:
        client = service.client()
        ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        good = await client.options("/chat/message", headers=ask | {"Origin": "https://shop.example"})
        bad = await client.options("/chat/message", headers=ask | {"Origin": "https://evil.example"})
        assert (good.status_code, good.headers["access-control-allow-origin"]) == (204, "https://shop.example")
        assert (bad.status_code, "access-control-allow-origin" in bad.headers) == (400, False)
        for origin, allowed in (("https://shop.example", True), ("https://evil.example", False)):
            answer = await client.get("/health", headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) == allowed


async def test_a_page_may_send_the_headers_of_openais_client_and_read_the_charge() -> None:
    wanted = "authorization,content-type,idempotency-key,x-stainless-lang,x-stainless-retry-count"
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    async with api(HttpConfig(cors_origins=("https://shop.example",))) as service:
        client = service.client()
        preflight = await client.options("/v1/chat/completions", headers=ask | {"Origin": "https://shop.example"})
        refused = await client.options("/v1/chat/completions", headers=ask | {"Origin": "https://evil.example"})
        answer = await client.get("/v1/models", headers={"Origin": "https://shop.example"})

    assert preflight.status_code == 204
    assert set(wanted.split(",")) <= set(preflight.headers["access-control-allow-headers"].lower().split(", "))
    assert (refused.status_code, "access-control-allow-headers" in refused.headers) == (400, False)
    shown = set(answer.headers["access-control-expose-headers"].lower().split(", "))
    assert {
        "retry-after",
        "x-chatbill-balance",
        "x-chatbill-cached",
        "x-chatbill-credits-charged",
        "x-request-id",
    } <= shown


async def test_without_origins_there_are_no_cors_headers(service: Api) -> None:
    answer = await service.client().get("/health", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_root_is_served_unless_it_is_switched_off() -> None:
    async with api() as service:
        assert (await service.client().get("/")).json()["documentation"] == "/docs"
    async with api(HttpConfig(serve_root=False, serve_docs=False)) as service:
        assert (await service.client().get("/")).status_code == 404
        assert (await service.client().get("/docs")).status_code == 404


def test_every_error_of_the_tree_has_a_status() -> None:
    from chatbill.domain.shared import errors  # noqa: PLC0415

    tree = [errors.ChatbillError]
    for error in tree:
        tree += error.__subclasses__()
    own = {error.code for error in tree if error.__module__.startswith(("chatbill.domain", "chatbill.application"))}
    # A backup is made by the command line and by a job, never by a request.
    assert own - {"backup_failed"} <= set(KINDS)
    assert problem_of(errors.NotFound("It")).status == 404
