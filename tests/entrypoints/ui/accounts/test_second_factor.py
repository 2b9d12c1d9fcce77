"""Setting up, using and removing a second factor on the page."""

from __future__ import annotations

import re
from html import unescape
from typing import cast

import httpx

from chatbill.testing import PlainOneTimeCodes
from tests.entrypoints.ui.conftest import registered
from tests.kit.support import PASSWORD, World

FACTOR = "/web/second-factor"


def code_of(served: World, secret: str) -> str:
    """Return the code that the app shows now."""
    codes = cast("PlainOneTimeCodes", served.ports.one_time_codes)
    return codes.code(secret, int(served.clock().timestamp()) // 30)


async def started(client: httpx.AsyncClient, **fields: str) -> str:
    """Begin, and return the fragment with the secret."""
    answer = await client.post(FACTOR, json=fields)
    assert answer.status_code == 200
    return str(answer.json()["put"]["cb-factor"])


async def confirmed(client: httpx.AsyncClient, served: World) -> list[str]:
    """Set up a second factor, and return its recovery codes."""
    secret = secret_in(await started(client))
    answer = await client.post(f"{FACTOR}/confirm", json={"code": code_of(served, secret)})
    assert answer.status_code == 200
    found = re.search(r"<pre[^>]*>(.*?)</pre>", answer.json()["put"]["cb-factor"], re.DOTALL)
    assert found
    return found[1].split()


def secret_in(fragment: str) -> str:
    """Return the secret of a fragment, without the spaces between its groups."""
    found = re.search(r'id="cb-factor-secret"[^>]*>([^<]+)<', fragment)
    assert found
    return found[1].replace(" ", "")


async def security(client: httpx.AsyncClient) -> str:
    return unescape((await client.get("/web/views/account/security")).text)


async def test_the_secret_is_shown_as_a_picture_and_as_text_and_not_cached(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post(FACTOR, json={})
    assert answer.headers["cache-control"] == "no-store"
    fragment = answer.json()["put"]["cb-factor"]
    assert "<svg" in fragment
    assert "<path" in fragment
    assert secret_in(fragment) not in (await security(client)).replace(" ", "")


async def test_a_code_of_the_app_confirms_it_and_gives_recovery_codes_once(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    codes = await confirmed(client, served)
    assert len(set(codes)) == 10
    shown = await security(client)
    assert "Sign-ins need a code of your app." in shown
    assert "10 recovery codes are left." in shown
    assert codes[0] not in shown
    asked = await client.post("/web/session", json={"login": "alice", "password": PASSWORD})
    assert asked.json()["code"] == "second_factor_required"
    fields = {"login": "alice", "password": PASSWORD, "code": codes[0]}
    assert (await client.post("/web/session", json=fields)).status_code == 200
    assert "9 recovery codes are left." in await security(client)


async def test_a_wrong_code_confirms_nothing(client: httpx.AsyncClient) -> None:
    await registered(client)
    await started(client)
    answer = await client.post(f"{FACTOR}/confirm", json={"code": "000000"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert "Set up a second factor" in await security(client)


async def test_an_older_sign_in_needs_the_password(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    served.clock.advance(600)
    refused = await client.post(FACTOR, json={})
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (403, ["password"])
    assert "<svg" in await started(client, password=PASSWORD)


async def test_it_is_removed_with_the_password_and_a_code(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    codes = await confirmed(client, served)
    without = await client.post(f"{FACTOR}/remove", json={"password": PASSWORD, "code": " "})
    assert (without.status_code, [error["field"] for error in without.json()["errors"]]) == (422, ["code"])
    wrong = await client.post(f"{FACTOR}/remove", json={"password": "not this one", "code": codes[0]})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await client.post(f"{FACTOR}/remove", json={"password": PASSWORD, "code": codes[0]})).status_code == 200
    assert "Set up a second factor" in await security(client)


async def test_every_action_needs_a_session_and_a_page_of_this_site(client: httpx.AsyncClient) -> None:
    elsewhere = {"Origin": "http://evil.example.org"}
    for path in (FACTOR, f"{FACTOR}/confirm", f"{FACTOR}/remove"):
        assert (await client.post(path, json={})).status_code == 401
        assert (await client.post(path, json={}, headers=elsewhere)).status_code == 403
