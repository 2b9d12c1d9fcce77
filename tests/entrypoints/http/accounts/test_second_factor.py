"""The second factor over HTTP."""

from __future__ import annotations

from typing import cast

import httpx

from chatbill.testing import PlainOneTimeCodes
from tests.kit.http import Api
from tests.kit.support import PASSWORD

LOGIN = {"username": "alice", "password": PASSWORD}


def code_of(service: Api, secret: str, steps: int = 0) -> str:
    codes = cast("PlainOneTimeCodes", service.world.ports.one_time_codes)
    return codes.code(secret, int(service.world.clock().timestamp()) // 30 + steps)


async def protect(service: Api, alice: httpx.AsyncClient) -> tuple[str, list[str]]:
    made = await alice.post("/auth/totp", json={})
    assert (made.status_code, set(made.json())) == (201, {"secret", "otpauth"})
    secret = made.json()["secret"]
    confirmed = await alice.post("/auth/totp/confirm", json={"code": code_of(service, secret)})
    assert (confirmed.status_code, set(confirmed.json())) == (200, {"recovery_codes"})
    return secret, confirmed.json()["recovery_codes"]


async def test_a_login_wants_a_code_after_the_right_password_alone(service: Api, alice: httpx.AsyncClient) -> None:
    secret, codes = await protect(service, alice)
    client = service.client()
    asked = await client.post("/auth/login", json=LOGIN)
    assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_required")
    wrong = await client.post("/auth/login", json=LOGIN | {"password": "wrong"})
    unknown = await client.post("/auth/login", json={"username": "mallory", "password": "wrong"})
    for answer in (wrong, unknown):
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert wrong.json()["detail"] == unknown.json()["detail"]
    for code in (code_of(service, secret, 1), codes[0]):
        assert (await client.post("/auth/login", json=LOGIN | {"code": code})).status_code == 200
        again = await client.post("/auth/login", json=LOGIN | {"code": code})
        assert (again.status_code, again.json()["code"]) == (401, "invalid_credentials")
        assert "recovery code" in again.json()["detail"]
    assert (await alice.get("/auth/me")).status_code == 200


async def test_it_is_removed_with_password_and_code(service: Api, alice: httpx.AsyncClient) -> None:
    secret, _ = await protect(service, alice)
    assert (await alice.post("/auth/totp", json={})).status_code == 409
    for body, status, code in (
        ({"password": PASSWORD}, 401, "second_factor_required"),
        ({"password": "wrong", "code": code_of(service, secret, 1)}, 401, "invalid_credentials"),
        ({"code": code_of(service, secret, 1)}, 422, "invalid_request"),
        (None, 400, "invalid_request"),
    ):
        refused = await alice.request("DELETE", "/auth/totp", json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    body = {"password": PASSWORD, "code": code_of(service, secret, 1)}
    assert (await alice.request("DELETE", "/auth/totp", json=body)).status_code == 204
    assert (await service.client().post("/auth/login", json=LOGIN)).status_code == 200
    gone = await alice.request("DELETE", "/auth/totp", json=body)
    assert (gone.status_code, gone.json()["detail"]) == (404, "This second factor was not found here.")


async def test_an_older_sign_in_sets_one_up_with_the_password_only(service: Api, alice: httpx.AsyncClient) -> None:
    service.world.clock.advance(600)
    refused = await alice.post("/auth/totp", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "password_required")
    assert (await alice.post("/auth/totp", json={"password": PASSWORD})).status_code == 201


async def test_an_api_key_neither_sets_nor_removes_one(service: Api, alice: httpx.AsyncClient) -> None:
    key = (await alice.post("/auth/api-keys", json={"name": "CI"})).json()["key"]
    program = service.client(headers={"Authorization": f"Bearer {key}"})
    body = {"password": PASSWORD, "code": "123456"}
    for method, path in (("POST", "/auth/totp"), ("POST", "/auth/totp/confirm"), ("DELETE", "/auth/totp")):
        assert (await program.request(method, path, json=body)).status_code == 403
    await protect(service, alice)
    assert (await program.get("/chat/models")).status_code == 200
