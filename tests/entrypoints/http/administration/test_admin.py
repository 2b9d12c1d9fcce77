"""Administration over HTTP."""

from __future__ import annotations

import httpx
import pytest

from chatbill.application.accounts.register import Registration
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api, say
from tests.kit.support import PASSWORD


@pytest.fixture
async def admin(service: Api) -> httpx.AsyncClient:
    await service.world.use_cases.accounts.register(
        Registration(username="root", email="root@example.org", password=PASSWORD, role=UserRole.ADMIN)
    )
    client = service.client()
    signed_in = await client.post("/auth/login", json={"username": "root", "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return client


async def user_id(client: httpx.AsyncClient) -> str:
    return str((await client.get("/auth/me")).json()["id"])


async def test_an_administrator_adjusts_a_wallet_with_a_reason(
    admin: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    path = f"/admin/users/{await user_id(alice)}/credits"
    key = {"Idempotency-Key": "present"}
    first, again = [await admin.post(path, json={"amount": 25, "reason": "A present"}, headers=key) for _ in range(2)]
    assert first.status_code == 201
    assert first.json() == again.json()
    assert (first.json()["kind"], first.json()["amount"], first.json()["balance_after"]) == ("adjustment", 25, 125)
    newest = (await alice.get("/billing/transactions")).json()["items"][0]
    assert (newest["amount"], newest["description"]) == (25, "A present")
    too_much = await admin.post(path, json={"amount": -126, "reason": "Taken back"})
    assert (too_much.status_code, too_much.json()["errors"][0]["field"]) == (422, "amount")


async def test_an_administrator_refunds_a_reply_once(admin: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    reply = await alice.post("/chat/message", json=say("hello", model="demo-pro"))
    path = f"/admin/interactions/{reply.json()['id']}/refund"
    refund = await admin.post(path, json={"reason": "It was useless"})
    assert (refund.status_code, refund.json()["kind"], refund.json()["amount"]) == (201, "refund", 3)
    again = await admin.post(path, json={"reason": "It was useless"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await alice.get("/billing/balance")).json()["balance"] == 100


async def test_other_users_are_forbidden(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    reply = await alice.post("/chat/message", json=say("hello"))
    for path, body in (
        (f"/admin/users/{await user_id(bob)}/credits", {"amount": 1_000, "reason": "Mine"}),
        (f"/admin/interactions/{reply.json()['id']}/refund", {"reason": "Mine"}),
    ):
        refused = await bob.post(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_unknown_users_and_interactions_are_not_found(admin: httpx.AsyncClient) -> None:
    for path, body in (
        ("/admin/users/nobody/credits", {"amount": 1, "reason": "x"}),
        ("/admin/interactions/nothing/refund", {"reason": "x"}),
    ):
        assert (await admin.post(path, json=body)).status_code == 404
