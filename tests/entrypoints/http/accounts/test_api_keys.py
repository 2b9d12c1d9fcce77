"""API keys over HTTP: making, listing and revoking them, and the routes that accept them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kit.http import Api, say

OPEN_TO_KEYS = {
    "account": {("get", "/auth/me")},
    "billing": {
        ("get", "/billing/packages"),
        ("get", "/billing/transactions"),
        ("get", "/billing/transactions/export"),
    },
    "chat": {
        ("get", "/chat/models"),
        ("get", "/chat/status"),
        ("post", "/chat/message"),
        ("post", "/chat/quote"),
        ("post", "/chat/interactions/{interaction_id}/regenerate"),
        ("post", "/chat/interactions/{interaction_id}/stop"),
        ("get", "/billing/balance"),
        ("get", "/v1/models"),
        ("get", "/v1/models/{model}"),
        ("post", "/v1/chat/completions"),
    },
    "read": {
        ("get", "/chat/conversations"),
        ("get", "/chat/conversations/{conversation_id}"),
        ("get", "/chat/history"),
        ("get", "/chat/history/export"),
        ("get", "/chat/spending"),
    },
    "write": {
        ("patch", "/chat/conversations/{conversation_id}"),
        ("delete", "/chat/conversations/{conversation_id}"),
    },
}
"""The routes that accept an API key, by the scope that it needs. No key may call a route that is not listed."""

BODIES: dict[str, dict[str, Any]] = {
    "/auth/api-keys": {"name": "another"},
    "/auth/me": {"username": "other"},
    "/auth/password": {"current_password": "correct horse battery", "new_password": "another one entirely"},
    "/billing/add": {"amount": 5},
    "/admin/users/{user_id}/credits": {"amount": 5, "reason": "why not"},
    "/admin/interactions/{interaction_id}/refund": {"reason": "why not"},
}


async def new_key(person: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await person.post("/auth/api-keys", json={"name": "CI"} | body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def program(service: Api, key: str) -> httpx.AsyncClient:
    return service.client(headers={"Authorization": f"Bearer {key}"})


async def test_a_key_is_shown_once_and_listed_without_its_secret(service: Api, alice: httpx.AsyncClient) -> None:
    made = await new_key(alice, monthly_cap=7, expires_at="2030-01-31T12:00:00+02:00")
    assert made["key"].startswith(made["starts_with"])
    assert (made["monthly_cap"], made["expires_at"]) == (7, "2030-01-31T10:00:00Z")
    await program(service, made["key"]).post("/chat/message", json=say("Hello"))
    listed = await alice.get("/auth/api-keys")
    expected = {name: value for name, value in made.items() if name != "key"}
    assert listed.json() == [expected | {"used_this_month": 1, "last_used_at": made["created_at"]}]
    assert made["key"].removeprefix(made["starts_with"]) not in listed.text


async def test_a_wrong_password_makes_no_key_even_after_a_fresh_sign_in(alice: httpx.AsyncClient) -> None:
    refused = await alice.post("/auth/api-keys", json={"name": "CI", "password": "a wrong guess"})
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")


async def test_keys_of_another_user_are_neither_listed_nor_revoked(
    service: Api, alice: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    made = await new_key(alice)
    assert (await bob.get("/auth/api-keys")).json() == []
    for unknown in (made["id"], "none", "x" * 65, "%00"):
        response = await bob.delete(f"/auth/api-keys/{unknown}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert (await program(service, made["key"]).get("/chat/models")).status_code == 200


async def test_a_revoked_key_is_rejected_at_once(service: Api, alice: httpx.AsyncClient) -> None:
    made = await new_key(alice)
    leaked = program(service, made["key"])
    assert (await leaked.get("/chat/models")).status_code == 200
    for _ in range(2):
        assert (await alice.delete(f"/auth/api-keys/{made['id']}")).status_code == 204
        response = await leaked.get("/chat/models")
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_a_taken_name_and_invalid_fields_are_rejected(alice: httpx.AsyncClient) -> None:
    await new_key(alice)
    taken = await alice.post("/auth/api-keys", json={"name": "ci"})
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    for body, field in (
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": "chat"}, "scopes"),
        ({"name": "x", "scopes": ["chat", "admin"]}, "scopes"),
        ({"name": "x", "scopes": ["chat"] * 1_000}, "scopes"),
        ({"name": "x", "monthly_cap": 0}, "monthly_cap"),
        ({"name": "x", "monthly_cap": "5"}, "monthly_cap"),
        ({"name": "x", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "x", "expires_at": "1999-01-01"}, "expires_at"),
    ):
        response = await alice.post("/auth/api-keys", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_a_reached_cap_is_reported_with_its_figures(service: Api, alice: httpx.AsyncClient) -> None:
    made = await new_key(alice, monthly_cap=2)
    client = program(service, made["key"])
    refused = await client.post("/chat/message", json=say("Hello") | {"model": "demo-pro"})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (402, "cap_reached")
    assert (problem["required"], problem["available"], problem["cap"]) == (3, 2, 2)
    assert (await client.post("/chat/message", json=say("Hello"))).status_code == 200


async def opened_by(client: httpx.AsyncClient) -> set[tuple[str, str]]:
    """Return the routes that do not answer 403 to this client."""
    described = (await client.get("/docs/openapi.json")).json()["paths"]
    opened = set()
    for path, operations in described.items():
        for method, operation in operations.items():
            if "security" in operation:
                address = path.replace("{", "").replace("}", "")
                response = await client.request(method, address, json=BODIES.get(path))
                if response.status_code != 403:
                    opened.add((method, path))
    return opened


@pytest.mark.parametrize("scope", OPEN_TO_KEYS)
async def test_a_scope_opens_the_listed_routes_only(service: Api, alice: httpx.AsyncClient, scope: str) -> None:
    made = await new_key(alice, scopes=[scope])
    assert made["scopes"] == [scope]
    assert await opened_by(program(service, made["key"])) == OPEN_TO_KEYS[scope]


async def test_a_key_with_all_scopes_still_cannot_change_the_account(service: Api, alice: httpx.AsyncClient) -> None:
    made = await new_key(alice, scopes=list(OPEN_TO_KEYS))
    assert await opened_by(program(service, made["key"])) == set().union(*OPEN_TO_KEYS.values())


async def test_a_new_key_can_chat_and_no_more(service: Api, alice: httpx.AsyncClient) -> None:
    made = await new_key(alice)
    assert made["scopes"] == ["chat"]
    assert await opened_by(program(service, made["key"])) == OPEN_TO_KEYS["chat"]


async def test_a_missing_scope_is_named(service: Api, alice: httpx.AsyncClient) -> None:
    client = program(service, (await new_key(alice))["key"])
    refused = await client.get("/auth/me")
    assert (refused.status_code, refused.json()["code"], refused.json()["scope"]) == (403, "forbidden", "account")
    assert refused.json()["detail"].startswith("This API key lacks the scope account.")
    at_openai = program(service, (await new_key(alice, name="reader", scopes=["read"]))["key"])
    assert "lacks the scope chat" in (await at_openai.get("/v1/models")).json()["error"]["message"]


@pytest.mark.parametrize("key", ["cb_", "cb_x_y", "cb_id-000000000005_" + "A" * 43, "cb_" + "x" * 5_000])
async def test_every_invalid_key_gets_the_same_answer(service: Api, alice: httpx.AsyncClient, key: str) -> None:
    await new_key(alice)
    response = await program(service, key).get("/auth/me")
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.json()["detail"] == "This API key does not exist, or was revoked, or has expired. Make another one."
