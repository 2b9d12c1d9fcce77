"""The routes by which the page shows, makes and revokes API keys."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from chatbill.application.accounts.create_api_key import NewApiKey
from chatbill.domain.accounts.api_keys import SECRET_CHARS
from chatbill.domain.shared.errors import Unauthenticated
from tests.entrypoints.ui.conftest import FROM_HERE, registered
from tests.kit.support import PASSWORD, World

KEYS = "/web/api-keys"


def form(name: str = "CI", cap: Any = "", **fields: str) -> dict[str, Any]:
    """Return the fields of the form, as the page sends them."""
    return {"name": name, "monthly_cap": cap, "scopes": "chat", "password": ""} | fields


async def made(client: httpx.AsyncClient, name: str = "nightly job", cap: str = "") -> dict[str, Any]:
    answer = await client.post(KEYS, json=form(name, cap))
    assert answer.status_code == 201
    key: dict[str, Any] = answer.json()
    return key


async def listed(client: httpx.AsyncClient) -> str:
    """Return the list of keys as the dialog shows it."""
    answer = await client.get(KEYS)
    assert answer.status_code == 200
    return " ".join(unescape(answer.text).split())


async def count(client: httpx.AsyncClient) -> int:
    """Return the number of keys in the list."""
    return (await listed(client)).count("<li>")


async def test_a_new_key_is_listed_with_its_use_and_works_in_the_api(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    assert "You have no keys yet." in await listed(client)
    key = await made(client, " nightly  job ", " 20 ")
    assert "never used" in await listed(client)
    await served.use_cases.accounts.authenticate_key(key["key"])
    shown = await listed(client)
    for words in ("nightly job", key["starts_with"], "0 of 20 credits this month", "last used", "may: chat"):
        assert words in shown


async def test_the_secret_is_shown_once_and_not_cached(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post(KEYS, json=form("CI"))
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.json()["key"][-SECRET_CHARS:]
    again = await client.get(KEYS)
    assert secret not in again.text
    assert "digest" not in again.text
    assert again.headers["cache-control"] == "no-store"


async def test_the_page_gets_a_model_for_its_example(client: httpx.AsyncClient) -> None:
    await registered(client)
    assert 'data-model="demo-mini"' in await listed(client)


async def test_a_revoked_key_is_not_listed_does_not_work_and_frees_its_name(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    key = await made(client)
    for _ in range(2):
        answer = await client.delete(f"{KEYS}/{key['id']}")
        assert "You have no keys yet." in answer.json()["put"]["cb-keys-list"]
    assert await count(client) == 0
    with pytest.raises(Unauthenticated):
        await served.use_cases.accounts.authenticate_key(key["key"])
    await made(client)


async def test_an_expired_key_is_listed_as_inactive_until_it_is_revoked(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    principal = await served.use_cases.accounts.web_authenticate(client.cookies["chatbill_session"])
    soon = served.clock() + timedelta(minutes=1)
    await served.use_cases.accounts.create_api_key(principal, NewApiKey(name="short", expires_at=soon))
    served.clock.advance(61)
    assert "ended " in await listed(client)


async def test_keys_of_another_user_cannot_be_listed_or_revoked(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    key = await made(client)
    client.cookies.clear()
    bob = {"username": "bob", "email": "bob@example.org", "password": "correct horse battery"}
    await client.post("/web/registration", json=bob)
    assert await count(client) == 0
    answer = await client.delete(f"{KEYS}/{key['id']}")
    assert answer.status_code == 404
    assert (await client.delete(f"{KEYS}/{'x' * 65}")).json() == answer.json()
    await served.use_cases.accounts.authenticate_key(key["key"])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_every_route_needs_a_session(client: httpx.AsyncClient, method: str) -> None:
    path = f"{KEYS}/some" if method == "DELETE" else KEYS
    body = form("CI") if method == "POST" else None
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


async def test_an_api_key_is_not_accepted_as_a_session(client: httpx.AsyncClient) -> None:
    await registered(client)
    key = await made(client)
    client.cookies.clear()
    client.cookies.set("chatbill_session", key["key"])
    assert (await client.get(KEYS)).status_code == 401
    assert (await client.get(KEYS, headers={"Authorization": f"Bearer {key['key']}"})).status_code == 401


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example.org"}, {**FROM_HERE, "Sec-Fetch-Site": "none"}])
async def test_a_page_of_another_site_cannot_make_or_revoke_a_key(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await registered(client)
    key = await made(client)
    assert (await client.post(KEYS, json=form("x"), headers=headers)).status_code == 403
    assert (await client.delete(f"{KEYS}/{key['id']}", headers=headers)).status_code == 403
    assert await count(client) == 1


@pytest.mark.parametrize("cap", ["2o", "-1", "1.5", "1,000", "1 000", "1e3", "²", "٣", "9" * 19, "9" * 5_000, "0"])
async def test_an_ambiguous_cap_is_rejected(client: httpx.AsyncClient, cap: str) -> None:
    await registered(client)
    answer = await client.post(KEYS, json=form("CI", cap))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["monthly_cap"]
    assert await count(client) == 0


async def test_an_older_sign_in_makes_a_key_with_the_password_only(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    served.clock.advance(600)
    refused = await client.post(KEYS, json=form())
    assert (refused.status_code, refused.json()["code"]) == (403, "password_required")
    assert [error["field"] for error in refused.json()["errors"]] == ["password"]
    wrong = await client.post(KEYS, json=form(password="not the password"))
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await client.post(KEYS, json=form(password=PASSWORD))).status_code == 201


async def test_a_key_gets_the_scopes_that_were_chosen(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post(KEYS, json=form(scopes="chat read"))
    assert answer.json()["scopes"] == ["chat", "read"]
    nothing = await client.post(KEYS, json=form("none", scopes=""))
    assert [error["field"] for error in nothing.json()["errors"]] == ["scopes"]


async def test_errors_have_the_format_of_the_forms(client: httpx.AsyncClient) -> None:
    await registered(client)
    nameless = await client.post(KEYS, json=form(" "))
    assert nameless.status_code == 422
    assert nameless.json()["errors"][0] == {"field": "name", "message": "This must be 1 to 100 printable characters."}
    await made(client, "CI")
    taken = await client.post(KEYS, json=form("ci"))
    assert taken.status_code == 409
    assert "You have an API key of this name" in taken.json()["detail"]
    formless = await client.post(KEYS, json=form("CI", 5))
    assert formless.status_code == 422


async def test_requests_have_an_id_that_finds_them_in_the_log(client: httpx.AsyncClient) -> None:
    assert (await client.get(KEYS)).headers["x-request-id"]
