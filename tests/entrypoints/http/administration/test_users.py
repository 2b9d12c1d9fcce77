"""People, as members of the staff see and change them over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api, say
from tests.kit.staff import member, trail
from tests.kit.support import PASSWORD

WHY = {"reason": "Because"}


async def signed_in(service: Api, role: UserRole = UserRole.ADMIN, name: str = "root") -> httpx.AsyncClient:
    await member(service.world, role, name)
    return await again(service, name)


async def again(service: Api, name: str, password: str = PASSWORD) -> httpx.AsyncClient:
    client = service.client(timeout=10)
    answer = await client.post("/auth/login", json={"username": name, "password": password})
    if answer.status_code == 200:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return client


@pytest.fixture
async def root(service: Api) -> httpx.AsyncClient:
    return await signed_in(service)


async def id_of(client: httpx.AsyncClient) -> str:
    return str((await client.get("/auth/me")).json()["id"])


async def names(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/admin/users", params=query)
    assert answer.status_code == 200, answer.text
    return [item["username"] for item in answer.json()["items"]]


async def test_people_are_found_by_a_part_of_the_name_the_role_and_the_state(
    service: Api, root: httpx.AsyncClient
) -> None:
    for name in ("alice", "alicia", "a_b"):
        service.world.clock.advance(1)
        await service.person(name)
    assert await names(root, q="LIC") == ["alicia", "alice"]
    assert await names(root, q="alice@EXAMPLE") == ["alice"]
    assert await names(root, q="_") == ["a_b"]
    assert await names(root, q="%") == []
    assert await names(root, role="admin") == ["root"]
    assert await names(root, state="suspended") == []
    first = (await root.get("/admin/users", params={"limit": 3})).json()
    rest = (await root.get("/admin/users", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [each["username"] for each in first["items"] + rest["items"]] == ["a_b", "alicia", "alice", "root"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"q": "x" * 10_000},
        {"q": "a\x00b"},
        {"role": "king"},
        {"state": "gone"},
        {"limit": 0},
        {"limit": 101},
        {"cursor": "12"},
        {"cursor": "x|y"},
    ],
)
async def test_bad_filters_are_named(root: httpx.AsyncClient, query: dict[str, Any]) -> None:
    answer = await root.get("/admin/users", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(query)))


async def test_a_row_has_the_figures_of_a_person(
    service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    reply = await alice.post("/chat/message", json=say("hello", model="demo-pro"))
    refund = f"/admin/interactions/{reply.json()['id']}/refund"
    assert (await root.post(refund, json={"amount": 1, **WHY})).status_code == 201
    row = (await root.get(f"/admin/users/{await id_of(alice)}")).json()
    expected = {"username": "alice", "role": "user", "state": "active", "balance": 98, "held": 0, "spent": 2}
    assert expected.items() <= row.items()
    assert row["last_seen_at"] is not None
    assert row == (await root.get("/admin/users", params={"q": "alice"})).json()["items"][0]


async def test_credits_are_null_for_people_who_may_not_see_them(service: Api, alice: httpx.AsyncClient) -> None:
    support = await signed_in(service, UserRole.SUPPORT, "sue")
    row = (await support.get(f"/admin/users/{await id_of(alice)}")).json()
    assert [row[name] for name in ("balance", "held", "spent")] == [None, None, None]


async def test_a_person_who_is_created_without_a_password_sets_it_with_the_link(
    service: Api, root: httpx.AsyncClient
) -> None:
    answer = await root.post("/admin/users", json={"username": "carol", "email": "carol@example.org"})
    created = answer.json()
    assert (answer.status_code, created["role"], created["balance"]) == (201, "user", 100)
    address, _, token = created["setup_url"].partition("#")
    assert address == "http://test/web/reset"
    client = service.client()
    refused = await client.post("/auth/login", json={"username": "carol", "password": ""})
    assert refused.status_code == 401
    reset = {"token": token, "new_password": "a whole new one"}
    assert (await client.post("/auth/password/reset", json=reset)).status_code == 204
    assert (await client.post("/auth/password/reset", json=reset)).status_code == 422
    assert "Authorization" in (await again(service, "carol", "a whole new one")).headers
    given = await root.post(
        "/admin/users", json={"username": "dora", "email": "d@example.org", "password": PASSWORD, "role": "viewer"}
    )
    assert (given.json()["role"], given.json()["setup_url"]) == ("viewer", None)
    assert (await root.post("/admin/users", json={"username": "DORA", "email": "x@example.org"})).status_code == 409


async def test_support_creates_users_and_no_staff(service: Api) -> None:
    support = await signed_in(service, UserRole.SUPPORT, "sue")
    body = {"username": "carol", "email": "carol@example.org"}
    for role in ("viewer", "support", "admin"):
        assert (await support.post("/admin/users", json={**body, "role": role})).status_code == 403
    assert (await support.post("/admin/users", json=body)).status_code == 201


async def test_a_suspended_person_is_out_at_once_and_comes_back(
    service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    path = f"/admin/users/{await id_of(alice)}"
    suspended = await root.patch(path, json={"state": "suspended", **WHY})
    assert (suspended.status_code, suspended.json()["state"]) == (200, "suspended")
    assert (await alice.get("/auth/me")).status_code == 401
    assert await names(root, state="suspended") == ["alice"]
    assert (await root.patch(path, json={"state": "active", **WHY})).json()["state"] == "active"
    assert (await (await again(service, "alice")).get("/auth/me")).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": "suspended"}, "reason"),
        ({"state": "suspended", "reason": "a\x1b[31mb"}, "reason"),
        ({"state": "suspended", "reason": "x" * 501}, "reason"),
        ({"state": "erased", **WHY}, "state"),
        ({"role": "king", **WHY}, "role"),
    ],
)
async def test_a_change_that_is_not_valid_changes_nothing(
    root: httpx.AsyncClient, alice: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    answer = await root.patch(f"/admin/users/{await id_of(alice)}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await alice.get("/auth/me")).status_code == 200


async def test_people_give_themselves_no_role_and_the_last_administrator_stays(
    service: Api, root: httpx.AsyncClient
) -> None:
    support, other = await signed_in(service, UserRole.SUPPORT, "sue"), await signed_in(service, name="olga")
    for client in (support, root):
        refused = await client.patch(f"/admin/users/{await id_of(client)}", json={"role": "admin", **WHY})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    ids = [await id_of(root), await id_of(other)]
    answers = await asyncio.gather(
        root.patch(f"/admin/users/{ids[1]}", json={"role": "user", **WHY}),
        other.patch(f"/admin/users/{ids[0]}", json={"role": "user", **WHY}),
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])


async def test_signing_out_and_a_link_for_a_new_password(
    service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    path = f"/admin/users/{await id_of(alice)}"
    assert (await root.post(f"{path}/sign-out", json={})).status_code == 422
    assert (await root.post(f"{path}/sign-out", json=WHY)).status_code == 204
    assert (await alice.get("/auth/me")).status_code == 401
    link = await root.post(f"{path}/password-reset", json=WHY)
    assert link.status_code == 201
    assert set(link.json()) == {"reset_url", "expires_at"}
    reset = {"token": link.json()["reset_url"].partition("#")[2], "new_password": "a whole new one"}
    assert (await service.client().post("/auth/password/reset", json=reset)).status_code == 204


async def test_support_makes_no_link_for_people_with_more_rights(service: Api, root: httpx.AsyncClient) -> None:
    support = await signed_in(service, UserRole.SUPPORT, "sue")
    finance = await signed_in(service, UserRole.FINANCE, "fiona")
    for other in (root, finance):
        for act in ("sign-out", "password-reset"):
            refused = await support.post(f"/admin/users/{await id_of(other)}/{act}", json=WHY)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_an_erased_person_is_gone_and_the_name_is_free(
    service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    await alice.post("/chat/message", json=say("a secret of mine"))
    key = (await alice.post("/auth/api-keys", json={"name": "CI"})).json()["key"]
    tokens = (await alice.post("/auth/login", json={"username": "alice", "password": PASSWORD})).json()
    path = f"/admin/users/{await id_of(alice)}"
    assert (await root.delete(path)).json()["errors"][0]["field"] == "reason"
    for _ in range(2):
        assert (await root.delete(path, params=WHY)).status_code == 204
    row = (await root.get(path)).json()
    assert (row["state"], row["balance"], row["spent"], row["last_seen_at"]) == ("erased", 99, 1, None)
    assert "alice" not in str(row)
    assert (await alice.get("/auth/me")).status_code == 401
    refresh = await alice.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refresh.status_code == 401
    program = service.client(headers={"Authorization": f"Bearer {key}"})
    assert (await program.get("/billing/balance")).status_code == 401
    for login in ("alice", row["username"], row["email"]):
        for password in (PASSWORD, ""):
            refused = await service.client().post("/auth/login", json={"username": login, "password": password})
            assert refused.status_code in {401, 422}
    for act, body in (("sign-out", WHY), ("password-reset", WHY)):
        assert (await root.post(f"{path}/{act}", json=body)).status_code == 409
    assert (await root.patch(path, json={"state": "active", **WHY})).status_code == 409
    fresh = await service.person("alice")
    assert (await fresh.get("/chat/history")).json()["items"] == []
    assert len([record for record in await trail(service.world) if record.action == "user.erased"]) == 1


async def test_a_person_is_erased_with_a_reason_in_the_body_too(
    root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    path = f"/admin/users/{await id_of(alice)}"
    for body in ({}, {"reason": " "}, {"reason": 5}):
        assert (await root.request("DELETE", path, json=body)).status_code == 422
    assert (await root.request("DELETE", path, json=WHY)).status_code == 204


async def test_unknown_people_are_not_found(root: httpx.AsyncClient) -> None:
    for path in ("/admin/users/nobody", f"/admin/users/{'x' * 65}"):
        answers = [
            await root.get(path),
            await root.patch(path, json={"state": "active", **WHY}),
            await root.delete(path, params=WHY),
            await root.post(f"{path}/sign-out", json=WHY),
            await root.post(f"{path}/password-reset", json=WHY),
        ]
        assert {answer.status_code for answer in answers} == {404}
