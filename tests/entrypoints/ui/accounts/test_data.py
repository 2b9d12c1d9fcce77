"""A copy of all data, and the end of an account."""

from __future__ import annotations

from html import unescape

import httpx

from chatbill.application.accounts.sign_in import Credentials
from tests.entrypoints.ui.conftest import ALICE, can_see_chat, registered
from tests.kit.support import PASSWORD, World

ERASE = "/web/account/erase"


async def test_the_copy_is_that_of_the_api_and_a_file(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.get("/web/account/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="chatbill-my-data.json"'
    data = answer.json()
    assert data["account"]["username"] == "alice"
    assert [each["kind"] for each in data["transactions"]] == ["grant"]
    assert set(data) == {"account", "sessions", "api_keys", "conversations", "messages", "transactions"}


async def test_a_copy_needs_a_session(client: httpx.AsyncClient) -> None:
    assert (await client.get("/web/account/export")).status_code == 401


async def test_a_place_for_a_copy_is_free_again_after_it(client: httpx.AsyncClient) -> None:
    await registered(client)
    for _ in range(3):
        assert (await client.head("/web/account/export")).status_code == 200
        assert (await client.get("/web/account/export")).status_code == 200


async def test_the_view_says_which_credits_are_lost(client: httpx.AsyncClient) -> None:
    await registered(client)
    shown = unescape((await client.get("/web/views/account/data")).text)
    assert "You lose the" in shown
    assert "100 credits" in shown


async def test_an_account_is_erased_with_its_password_and_signed_out(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    await served.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    wrong = await client.post(ERASE, json={"password": "not this one"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert await can_see_chat(client)
    erased = await client.post(ERASE, json={"password": PASSWORD})
    assert (erased.status_code, erased.json()["reload"]) == (200, True)
    assert not client.cookies
    assert not await can_see_chat(client)
    assert (await client.post("/web/session", json={"login": "alice", "password": PASSWORD})).status_code == 401
    assert (await client.post("/web/registration", json=ALICE)).status_code == 200
