"""The page on which a new password is set with a link."""

from __future__ import annotations

import httpx

from chatbill.application.accounts.register import Registration
from chatbill.application.administration.admin_action import AdminAction
from chatbill.domain.accounts.users import UserRole
from chatbill.entrypoints.web.password_links import link_address
from tests.entrypoints.ui.conftest import can_see_chat, registered
from tests.kit.support import PASSWORD, World

RESET = "/web/reset"
NEW = "a whole new one"


async def link(served: World) -> str:
    """Return the token of a new link for Alice."""
    await served.use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    root = await served.use_cases.administration.find_administrator("root")
    alice = await served.use_cases.administration.show_user.unchecked("alice")
    action = AdminAction(reason="She lost it")
    return (await served.use_cases.administration.make_password_link(root, alice.user.id, action)).token


def form(token: str, **fields: str) -> dict[str, str]:
    """Return the fields of the form, as the page sends them."""
    return {"token": token, "new_password": NEW, "revoke_api_keys": ""} | fields


async def test_the_page_runs_only_scripts_of_this_service_and_is_not_cached(client: httpx.AsyncClient) -> None:
    page = await client.get(RESET)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script>" not in page.text
    assert " style=" not in page.text


async def test_the_link_names_the_page_and_no_server_is_sent_its_token(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    address = httpx.URL(link_address("https://chat.example.org/", await link(served)))
    assert address.path == RESET
    assert not address.query
    assert address.fragment


async def test_the_form_sets_the_password_and_signs_out_everywhere(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    answer = await client.post(RESET, json=form(await link(served)))
    assert answer.status_code == 204
    assert not await can_see_chat(client)
    assert (await client.post("/web/session", json={"login": "alice", "password": NEW})).status_code == 200


async def test_the_form_revokes_keys_if_it_is_ticked(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    made = await client.post("/web/api-keys", json={"name": "CI", "monthly_cap": "", "scopes": "chat", "password": ""})
    assert (await client.post(RESET, json=form(await link(served), revoke_api_keys="on"))).status_code == 204
    key = await served.store.read(lambda snapshot: snapshot.api_keys.get(made.json()["id"]))
    assert key
    assert key.revoked_at == served.clock()


async def test_errors_are_shown_beside_their_field(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    unknown = await client.post(RESET, json=form("nothing"))
    assert (unknown.status_code, [fault["field"] for fault in unknown.json()["errors"]]) == (422, ["token"])
    weak = await client.post(RESET, json=form(await link(served), new_password="12345678"))
    assert (weak.status_code, [fault["field"] for fault in weak.json()["errors"]]) == (422, ["new_password"])


async def test_a_page_of_another_site_cannot_send_the_form(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    answer = await client.post(RESET, json=form(await link(served)), headers={"Origin": "http://evil.example.org"})
    assert answer.status_code == 403


async def test_the_page_for_an_address_uses_the_token_when_the_person_asks(client: httpx.AsyncClient) -> None:
    page = await client.get("/web/verify")
    assert page.status_code == 200
    assert "link.js" in page.text
    assert page.headers["content-security-policy"].startswith("default-src")
    refused = await client.post("/web/verify", json={"token": "unknown"})
    assert (refused.status_code, [fault["field"] for fault in refused.json()["errors"]]) == (422, ["token"])
