"""The routes by which the page shows, makes and revokes API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.domain.accounts.api_keys import SECRET_CHARS
from chatbill.domain.shared.errors import Unauthenticated
from tests.entrypoints.ui.conftest import FROM_HERE
from tests.entrypoints.ui.test_session import registered
from tests.kit.support import World

KEYS = "/web/api-keys"


async def made(client: httpx.AsyncClient, name: str = "nightly job", cap: str = "") -> dict[str, Any]:
    answer = await client.post(KEYS, json={"name": name, "monthly_cap": cap})
    assert answer.status_code == 201
    key: dict[str, Any] = answer.json()
    return key


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get(KEYS)
    assert answer.status_code == 200
    keys: list[dict[str, Any]] = answer.json()["keys"]
    return keys


async def test_a_key_is_made_shown_with_its_use_and_opens_the_api(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    assert await listed(client) == []
    key = await made(client, " nightly  job ", " 20 ")
    await served.use_cases.accounts.authenticate_key(key["key"])
    (shown,) = await listed(client)
    assert (shown["name"], shown["monthly_cap"], shown["used_this_month"]) == ("nightly job", 20, 0)
    assert key["key"].startswith(shown["starts_with"])
    assert shown["last_used_at"] is not None
    assert shown["active"]


async def test_the_secret_is_told_once_and_kept_by_no_cache(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post(KEYS, json={"name": "CI", "monthly_cap": ""})
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.json()["key"][-SECRET_CHARS:]
    again = await client.get(KEYS)
    assert secret not in again.text
    assert "digest" not in again.text
    assert again.headers["cache-control"] == "no-store"


async def test_the_page_is_told_a_model_for_its_example(client: httpx.AsyncClient) -> None:
    await registered(client)
    assert (await client.get(KEYS)).json()["model"] == "demo-mini"


async def test_a_revoked_key_is_gone_and_dead_and_its_name_is_free(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    key = await made(client)
    for _ in range(2):
        assert (await client.delete(f"{KEYS}/{key['id']}")).status_code == 204
    assert await listed(client) == []
    with pytest.raises(Unauthenticated):
        await served.use_cases.accounts.authenticate_key(key["key"])
    await made(client)


async def test_an_expired_key_is_shown_as_such_until_it_is_revoked(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    principal = await served.use_cases.accounts.authenticate(client.cookies["chatbill_session"])
    soon = served.clock() + timedelta(minutes=1)
    await served.use_cases.accounts.create_api_key(principal, NewApiKey(name="short", expires_at=soon))
    served.clock.advance(61)
    (shown,) = await listed(client)
    assert (shown["active"], shown["name"]) == (False, "short")


async def test_nobody_sees_or_ends_the_keys_of_another(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    key = await made(client)
    client.cookies.clear()
    bob = {"username": "bob", "email": "bob@example.org", "password": "correct horse battery"}
    await client.post("/web/registration", json=bob)
    assert await listed(client) == []
    answer = await client.delete(f"{KEYS}/{key['id']}")
    assert answer.status_code == 404
    assert (await client.delete(f"{KEYS}/{'x' * 65}")).json() == answer.json()
    await served.use_cases.accounts.authenticate_key(key["key"])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_without_a_session_nothing_is_answered(client: httpx.AsyncClient, method: str) -> None:
    path = f"{KEYS}/some" if method == "DELETE" else KEYS
    body = {"name": "CI", "monthly_cap": ""} if method == "POST" else None
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


async def test_a_key_itself_opens_none_of_it(client: httpx.AsyncClient) -> None:
    await registered(client)
    key = await made(client)
    client.cookies.clear()
    client.cookies.set("chatbill_session", key["key"])
    assert (await client.get(KEYS)).status_code == 401
    assert (await client.get(KEYS, headers={"Authorization": f"Bearer {key['key']}"})).status_code == 401


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example.org"}, {**FROM_HERE, "Sec-Fetch-Site": "none"}])
async def test_another_sites_page_can_neither_make_nor_end_a_key(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await registered(client)
    key = await made(client)
    assert (await client.post(KEYS, json={"name": "x", "monthly_cap": ""}, headers=headers)).status_code == 403
    assert (await client.delete(f"{KEYS}/{key['id']}", headers=headers)).status_code == 403
    assert len(await listed(client)) == 1


@pytest.mark.parametrize("cap", ["2o", "-1", "1.5", "1,000", "1 000", "1e3", "²", "٣", "9" * 19, "9" * 5_000, "0"])
async def test_a_cap_that_could_be_misread_is_refused_and_not_taken_for_none(
    client: httpx.AsyncClient, cap: str
) -> None:
    await registered(client)
    answer = await client.post(KEYS, json={"name": "CI", "monthly_cap": cap})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["monthly_cap"]
    assert await listed(client) == []


async def test_what_is_wrong_is_said_as_it_is_elsewhere(client: httpx.AsyncClient) -> None:
    await registered(client)
    nameless = await client.post(KEYS, json={"name": " ", "monthly_cap": ""})
    assert nameless.status_code == 422
    assert nameless.json()["errors"][0] == {"field": "name", "message": "must be 1 to 100 printable characters"}
    await made(client, "CI")
    taken = await client.post(KEYS, json={"name": "ci", "monthly_cap": ""})
    assert taken.status_code == 409
    assert "You have an API key of this name" in taken.json()["detail"]
    formless = await client.post(KEYS, json={"name": "CI", "monthly_cap": 5})
    assert formless.status_code == 422


async def test_what_was_asked_has_an_id_that_leads_to_it_in_the_log(client: httpx.AsyncClient) -> None:
    assert (await client.get(KEYS)).headers["x-request-id"]
