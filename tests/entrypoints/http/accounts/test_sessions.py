"""Sessions over HTTP: listing and ending them."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.http import Api
from tests.kit.support import PASSWORD


async def another_sign_in(service: Api, name: str = "alice") -> httpx.AsyncClient:
    client = service.client(headers={"User-Agent": "laptop/1.0"})
    signed_in = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    return client


async def test_sessions_are_listed_and_the_one_that_asks_is_marked(service: Api, alice: httpx.AsyncClient) -> None:
    service.world.clock.advance(1)
    laptop = await another_sign_in(service)
    newest, oldest = (await laptop.get("/auth/sessions")).json()
    assert set(newest) == {"id", "created_at", "last_seen_at", "address", "client", "current"}
    assert (newest["client"], newest["address"], newest["current"]) == ("laptop/1.0", "127.0.0.1", True)
    assert (oldest["client"].partition("/")[0], oldest["current"]) == ("python-httpx", False)
    assert [each["current"] for each in (await alice.get("/auth/sessions")).json()] == [False, True]


async def test_an_ended_session_is_rejected_at_once(service: Api, alice: httpx.AsyncClient) -> None:
    laptop = await another_sign_in(service)
    (session_id,) = [each["id"] for each in (await laptop.get("/auth/sessions")).json() if each["current"]]
    for _ in range(2):
        assert (await alice.delete(f"/auth/sessions/{session_id}")).status_code == 204
    assert (await laptop.get("/auth/me")).status_code == 401
    assert len((await alice.get("/auth/sessions")).json()) == 1


@pytest.mark.parametrize("session_id", ["none", "x" * 65, "%00"])
async def test_unknown_sessions_are_not_found(alice: httpx.AsyncClient, session_id: str) -> None:
    response = await alice.delete(f"/auth/sessions/{session_id}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_sessions_of_others_are_not_found_and_go_on(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    (bobs,) = (await bob.get("/auth/sessions")).json()
    assert (await alice.delete(f"/auth/sessions/{bobs['id']}")).status_code == 404
    assert (await bob.get("/auth/me")).status_code == 200
