"""New passwords over HTTP: by a link, and with the API keys revoked; and the password where a key is made."""

from __future__ import annotations

import httpx
import pytest

from chatbill.application.accounts.register import Registration
from chatbill.application.administration.admin_action import AdminAction
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api
from tests.kit.support import PASSWORD

NEW = "a whole new one"


async def link(service: Api) -> str:
    """Return the token of a new link for Alice."""
    use_cases = service.world.use_cases
    await use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    root = await use_cases.administration.find_administrator("root")
    alice = (await use_cases.administration.show_user.unchecked("alice")).user.id
    issued = await use_cases.administration.make_password_link(root, alice, AdminAction(reason="She lost it"))
    return issued.token


async def test_a_link_sets_a_new_password_once_and_ends_all_sessions(service: Api, alice: httpx.AsyncClient) -> None:
    body = {"token": await link(service), "new_password": NEW}
    assert (await service.client().post("/auth/password/reset", json=body)).status_code == 204
    assert (await alice.get("/auth/me")).status_code == 401
    login = {"username": "alice", "password": NEW}
    assert (await service.client().post("/auth/login", json=login)).status_code == 200
    again = await service.client().post("/auth/password/reset", json=body | {"new_password": "another one again"})
    assert (again.status_code, again.json()["code"]) == (422, "invalid_request")
    assert [fault["field"] for fault in again.json()["errors"]] == ["token"]
    assert "ask for a new link" in again.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"token": 5, "new_password": NEW}, {"token": "x" * 9_999, "new_password": NEW}])
async def test_an_invalid_body_is_rejected(service: Api, body: dict[str, object]) -> None:
    response = await service.client().post("/auth/password/reset", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_a_new_password_revokes_keys_if_asked(service: Api, alice: httpx.AsyncClient) -> None:
    key = (await alice.post("/auth/api-keys", json={"name": "CI"})).json()["key"]
    program = service.client(headers={"Authorization": f"Bearer {key}"})
    change = {"current_password": PASSWORD, "new_password": NEW, "revoke_api_keys": True}
    assert (await program.get("/chat/models")).status_code == 200
    assert (await alice.post("/auth/password", json=change)).status_code == 204
    assert (await program.get("/chat/models")).status_code == 401


async def test_the_old_password_and_a_common_one_are_refused(alice: httpx.AsyncClient) -> None:
    for new, message in ((PASSWORD, "must differ from the old one"), ("12345678", "is one that many people use")):
        response = await alice.post("/auth/password", json={"current_password": PASSWORD, "new_password": new})
        assert response.status_code == 422
        (fault,) = response.json()["errors"]
        assert fault["field"] == "new_password"
        assert message in fault["message"]


async def test_an_older_sign_in_makes_a_key_with_the_password_only(service: Api, alice: httpx.AsyncClient) -> None:
    service.world.clock.advance(600)
    refused = await alice.post("/auth/api-keys", json={"name": "CI"})
    assert (refused.status_code, refused.json()["code"]) == (403, "password_required")
    assert "send it as password, or sign in again and repeat this within 10 minutes" in refused.json()["detail"]
    wrong = await alice.post("/auth/api-keys", json={"name": "CI", "password": "not this one"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await alice.post("/auth/api-keys", json={"name": "CI", "password": PASSWORD})).status_code == 201


async def test_another_email_address_needs_the_password_unless_the_sign_in_is_recent(
    service: Api, alice: httpx.AsyncClient
) -> None:
    assert (await alice.patch("/auth/me", json={"email": "first@example.org"})).status_code == 200
    service.world.clock.advance(600)
    stolen = await alice.patch("/auth/me", json={"email": "evil@example.org"})
    assert (stolen.status_code, stolen.json()["code"]) == (403, "password_required")
    wrong = await alice.patch("/auth/me", json={"email": "evil@example.org", "password": "not this one"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
    assert (await alice.get("/auth/me")).json()["email"] == "first@example.org"
    same = {"username": "alice2", "email": "FIRST@example.org"}
    assert (await alice.patch("/auth/me", json=same)).status_code == 200
    changed = await alice.patch("/auth/me", json={"email": "second@example.org", "password": PASSWORD})
    assert (changed.status_code, changed.json()["email"]) == (200, "second@example.org")
