"""Codes that redeem credits, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.entrypoints.http.administration.test_users import id_of, root
from tests.kit.http import Api

__all__ = ["root"]


async def made(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/admin/codes", json={"credits": 50, **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_code_is_redeemed_once_and_in_the_ledger(root: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    code = await made(root, uses=2)
    assert (code["uses"], code["used"], code["created_by"]) == (2, 0, await id_of(root))
    redeemed = await alice.post("/billing/redeem", json={"code": f" {code['code'].lower()}"})
    assert (redeemed.status_code, redeemed.json()) == (201, {"credits_added": 50, "balance": 150})
    again = await alice.post("/billing/redeem", json={"code": code["code"]})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    entry = (await alice.get("/billing/transactions")).json()["items"][0]
    assert (entry["kind"], entry["amount"], entry["description"]) == ("grant", 50, "Code redeemed")
    (listed,) = (await root.get("/admin/codes")).json()["items"]
    assert listed == {name: value for name, value in code.items() if name != "code"} | {"used": 1}
    assert code["code"] not in str(listed)


async def test_a_withdrawn_code_redeems_nothing(
    root: httpx.AsyncClient, alice: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    code = await made(root, uses=2)
    await alice.post("/billing/redeem", json={"code": code["code"]})
    for _ in range(2):
        assert (await root.delete(f"/admin/codes/{code['id']}", params={"reason": "Leaked"})).status_code == 204
    refused = await bob.post("/billing/redeem", json={"code": code["code"]})
    assert (refused.status_code, refused.json()["detail"]) == (409, "This code was withdrawn.")
    assert (await alice.get("/billing/balance")).json()["balance"] == 150
    assert (await root.delete("/admin/codes/nothing")).status_code == 404


@pytest.mark.parametrize("code", ["", "x", "0" * 25, "\u0130" * 25, "x" * 1_000])
async def test_unknown_codes_are_not_found(alice: httpx.AsyncClient, code: str) -> None:
    answer = await alice.post("/billing/redeem", json={"code": code})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"credits": 0}, "credits"),
        ({"credits": 10**15 + 1}, "credits"),
        ({"credits": 5, "uses": 0}, "uses"),
        ({"credits": 5, "uses": 10_001}, "uses"),
        ({"credits": 5, "expires_at": "2020-01-01"}, "expires_at"),
        ({"credits": 5, "expires_at": "soon"}, "expires_at"),
        ({}, "credits"),
    ],
)
async def test_bad_terms_are_named(root: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await root.post("/admin/codes", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_an_api_key_redeems_nothing(service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    key = (await alice.post("/auth/api-keys", json={"name": "CI", "scopes": ["billing", "account"]})).json()["key"]
    program = service.client(headers={"Authorization": f"Bearer {key}"})
    code = (await made(root))["code"]
    assert (await program.post("/billing/redeem", json={"code": code})).status_code == 403
