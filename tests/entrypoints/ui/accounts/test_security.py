"""The routes by which the page shows and ends sessions and changes the password."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from chatbill.application.accounts.sign_in import Credentials
from chatbill.domain.shared.errors import Unauthenticated
from tests.entrypoints.ui.conftest import can_see_chat, registered
from tests.kit.support import PASSWORD, World

SESSIONS = "/web/sessions"
NEW = "a whole new one"


def form(**fields: str) -> dict[str, str]:
    """Return the fields of the form for a new password, as the page sends them."""
    return {"current_password": PASSWORD, "new_password": NEW, "revoke_api_keys": ""} | fields


async def view(client: httpx.AsyncClient, path: str = "account/security") -> str:
    """Return the fragment of a view."""
    answer = await client.get(f"/web/views/{path}")
    assert answer.status_code == 200
    return unescape(answer.text)


async def test_sessions_of_the_page_and_of_the_api_are_listed_and_ended(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    accounts = served.use_cases.accounts
    program = await accounts.sign_in(Credentials(login="alice", password=PASSWORD, client="<b>curl</b>/8.5"))
    shown = await view(client)
    assert shown.index("python-httpx") < shown.index("<b>curl</b>/8.5")
    assert shown.count("this browser") == 1
    (session_id,) = re.findall(r"web/sessions/([^\"]+)", shown)
    assert session_id == program.principal.session_id
    answer = await client.delete(f"{SESSIONS}/{session_id}")
    assert "curl" not in answer.json()["put"]["cb-sessions"]
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(program.access_token)


async def test_what_a_client_calls_itself_is_escaped(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    hostile = '"><script>alert(1)</script>'
    await served.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD, client=hostile))
    assert "<script" not in (await client.get("/web/views/account/security")).text


async def test_sessions_of_another_user_are_not_found(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    bob = await served.person("bob")
    answer = await client.delete(f"{SESSIONS}/{bob.session_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await client.delete(f"{SESSIONS}/{'x' * 65}")).status_code == 404


async def test_a_new_password_keeps_the_browser_signed_in(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post("/web/password", json=form())
    assert answer.json()["say"] == "Your new password is set, and you are signed out everywhere else."
    assert await can_see_chat(client)
    assert (await client.post("/web/session", json={"login": "alice", "password": NEW})).status_code == 200


@pytest.mark.parametrize(("ticked", "revoked"), [("on", True), ("", False)])
async def test_keys_are_revoked_with_a_new_password_if_the_box_is_ticked(
    client: httpx.AsyncClient, served: World, ticked: str, *, revoked: bool
) -> None:
    await registered(client)
    made = await client.post("/web/api-keys", json={"name": "CI", "monthly_cap": "", "scopes": "chat", "password": ""})
    assert (await client.post("/web/password", json=form(revoke_api_keys=ticked))).status_code == 200
    key = await served.store.read(lambda snapshot: snapshot.api_keys.get(made.json()["id"]))
    assert key
    assert (key.revoked_at is not None) is revoked


async def test_errors_have_the_format_of_the_forms(client: httpx.AsyncClient) -> None:
    await registered(client)
    wrong = await client.post("/web/password", json=form(current_password="not this one"))
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    same = await client.post("/web/password", json=form(new_password=PASSWORD))
    assert (same.status_code, [fault["field"] for fault in same.json()["errors"]]) == (422, ["new_password"])


async def test_every_route_needs_a_session_and_a_page_of_this_site(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("GET", "/web/views/account/security"),
        ("DELETE", f"{SESSIONS}/x"),
        ("POST", "/web/password"),
    ):
        body = form() if method == "POST" else None
        assert (await client.request(method, path, json=body)).status_code == 401
        if method != "GET":
            elsewhere = {"Origin": "http://evil.example.org"}
            assert (await client.request(method, path, json=body, headers=elsewhere)).status_code == 403
