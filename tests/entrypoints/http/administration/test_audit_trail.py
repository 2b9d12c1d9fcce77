"""The audit trail over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.entrypoints.http.administration.test_users import WHY, id_of, root
from tests.kit.http import Api

__all__ = ["root"]


async def records(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/admin/audit", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_an_act_is_shown_with_who_did_what_to_whom_and_from_where(
    root: httpx.AsyncClient, alice: httpx.AsyncClient
) -> None:
    user = await id_of(alice)
    answer = await root.patch(f"/admin/users/{user}", json={"state": "suspended", **WHY})
    (record,) = await records(root, action="user.suspended")
    assert (record["actor"], record["actor_name"]) == (await id_of(root), "root")
    assert (record["subject"], record["subject_kind"]) == (user, "user")
    assert (record["before"], record["after"]) == ({"state": "active"}, {"state": "suspended"})
    assert (record["reason"], record["request_id"]) == (WHY["reason"], answer.headers["X-Request-Id"])
    assert record["address"] == "127.0.0.1"


async def test_records_are_filtered_and_paged(service: Api, root: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    user, all_of_them = await id_of(alice), await records(root)
    assert [each["action"] for each in await records(root, actor=user)] == ["session.started", "account.registered"]
    assert [each["action"] for each in await records(root, subject=user)] == ["account.registered"]
    assert await records(root, to="2020-01-01") == []
    assert await records(root, **{"from": "2020-01-01"}) == all_of_them
    first = (await root.get("/admin/audit", params={"limit": 1})).json()
    rest = await records(root, cursor=first["next_cursor"])
    assert first["items"] + rest == all_of_them
    assert await records(root, actor="nobody") == []


@pytest.mark.parametrize(
    "query", [{"action": "user.crowned"}, {"from": "soon"}, {"actor": "a\x00"}, {"subject": "x" * 201}, {"cursor": "7"}]
)
async def test_bad_filters_are_named(root: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await root.get("/admin/audit", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(query)))


async def test_a_failed_sign_in_is_shown_without_the_name(root: httpx.AsyncClient) -> None:
    login = {"username": "my password by mistake", "password": "wrong"}
    assert (await root.post("/auth/login", json=login)).status_code == 401
    (record,) = await records(root, action="session.refused")
    assert (record["actor"], record["subject"], record["address"]) == (None, None, "127.0.0.1")
    assert "mistake" not in str(record)
