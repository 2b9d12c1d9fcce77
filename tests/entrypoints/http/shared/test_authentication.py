"""Authentication by access tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import jwt
import pytest

from chatbill.adapters.security.tokens import JwtTokens
from chatbill.application.accounts.sign_in import Credentials
from tests.kit.http import Api, api
from tests.kit.support import PASSWORD

KEY = b"k" * 32
GUARDED = [
    ("GET", "/auth/me"),
    ("PATCH", "/auth/me"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
    ("GET", "/auth/api-keys"),
    ("POST", "/auth/api-keys"),
    ("DELETE", "/auth/api-keys/x"),
    ("GET", "/chat/models"),
    ("GET", "/chat/status"),
    ("POST", "/chat/message"),
    ("POST", "/chat/interactions/x/stop"),
    ("GET", "/chat/conversations"),
    ("GET", "/chat/conversations/x"),
    ("PATCH", "/chat/conversations/x"),
    ("DELETE", "/chat/conversations/x"),
    ("GET", "/chat/history"),
    ("GET", "/billing/balance"),
    ("GET", "/billing/packages"),
    ("POST", "/billing/add"),
    ("POST", "/admin/users/x/credits"),
    ("POST", "/admin/interactions/x/refund"),
    ("GET", "/billing/transactions"),
]


@pytest.fixture
async def guarded() -> AsyncIterator[Api]:
    """Return the API with real access tokens."""
    async with api(tokens=JwtTokens(KEY)) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_routes_of_a_user_need_a_token(service: Api, method: str, path: str) -> None:
    response = await service.client().request(method, path)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer \x00", "Token x", "Bearer ü", "x" * 5_000]
)
async def test_other_schemes_and_empty_tokens_are_rejected(service: Api, header: str) -> None:
    response = await service.client().get("/auth/me", headers={b"Authorization": header.encode("latin-1")})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_two_authorization_headers_are_rejected(guarded: Api) -> None:
    alice = await guarded.person()
    value = alice.headers["Authorization"]
    response = await guarded.client().get("/auth/me", headers=[("Authorization", value), ("Authorization", value)])
    assert response.status_code == 401


async def test_the_scheme_may_be_written_in_any_case(guarded: Api) -> None:
    alice = await guarded.person()
    alice.headers["Authorization"] = alice.headers["Authorization"].replace("Bearer", "bearer")
    assert (await alice.get("/auth/me")).status_code == 200


async def test_the_token_in_the_cookie_of_the_page_is_rejected(guarded: Api) -> None:
    alice = await guarded.person()
    of_page = await guarded.world.use_cases.accounts.web_sign_in(Credentials(login="alice", password=PASSWORD))
    response = await alice.get("/auth/me", headers={"Authorization": f"Bearer {of_page.access_token}"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_an_expired_token_has_a_code_of_its_own(guarded: Api) -> None:
    alice = await guarded.person()
    guarded.world.clock.advance(3_601)
    response = await alice.get("/auth/me")
    assert (response.status_code, response.json()["code"]) == (401, "token_expired")
    assert response.headers["www-authenticate"] == "Bearer"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _without_algorithm(header: dict[str, object], payload: dict[str, object]) -> str:
    return f"{_part(header | {'alg': 'none'})}.{_part(payload)}."


def _by_another_key(header: dict[str, object], payload: dict[str, object]) -> str:
    return jwt.encode(payload, b"x" * 32, algorithm="HS256", headers=header)


def _by_another_algorithm(header: dict[str, object], payload: dict[str, object]) -> str:
    return jwt.encode(payload, KEY * 2, algorithm="HS512", headers=header)


def _for_another_audience(header: dict[str, object], payload: dict[str, object]) -> str:
    return jwt.encode(payload | {"aud": "other"}, KEY, algorithm="HS256", headers=header)


def _of_another_type(header: dict[str, object], payload: dict[str, object]) -> str:
    return jwt.encode(payload, KEY, algorithm="HS256", headers=header | {"typ": "JWT"})


def _for_another_person(header: dict[str, object], payload: dict[str, object]) -> str:
    return jwt.encode(payload | {"sub": "somebody"}, KEY, algorithm="HS256", headers=header)


@pytest.mark.parametrize(
    "forge",
    [
        _without_algorithm,
        _by_another_key,
        _by_another_algorithm,
        _for_another_audience,
        _of_another_type,
        _for_another_person,
    ],
)
async def test_forged_tokens_are_rejected(guarded: Api, forge: object) -> None:
    assert callable(forge)
    alice = await guarded.person()
    token = alice.headers["Authorization"].removeprefix("Bearer ")
    header = jwt.get_unverified_header(token)
    payload = jwt.decode(token, options={"verify_signature": False})
    response = await alice.get("/auth/me", headers={"Authorization": f"Bearer {forge(header, payload)}"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_authentication_comes_before_validation(service: Api) -> None:
    response = await service.client().post("/chat/message", content=b"{")
    assert response.status_code == 401
