"""Accounts over HTTP."""

from __future__ import annotations

import httpx
import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.ports.rate_limits import Limit
from tests.kit.http import Api, api, say
from tests.kit.support import PASSWORD, PRO

ADA = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}


async def test_registration_makes_an_account_with_welcome_credits(service: Api) -> None:
    response = await service.client().post("/auth/register", json=ADA)
    assert response.status_code == 201
    account = response.json()
    assert account.pop("id")
    assert account == {
        "username": "ada",
        "email": "ada@example.org",
        "role": "user",
        "balance": 100,
        "email_verified": False,
        "created_at": "2026-01-01T00:00:00Z",
        "locale": None,
        "time_zone": "UTC",
        "spending_limit": {"day": None, "month": None},
        "low_balance": None,
    }


async def test_preferences_are_set_kept_and_removed(service: Api) -> None:
    alice = await service.person()
    wanted = {"locale": "ru", "time_zone": "Europe/Moscow", "spending_limit": {"day": 1}, "low_balance": 5}
    changed = (await alice.patch("/auth/me", json=wanted)).json()
    assert {name: changed[name] for name in wanted} == wanted | {"spending_limit": {"day": 1, "month": None}}
    await alice.patch("/auth/me", json={"spending_limit": {"month": 9}, "locale": None})
    kept = (await alice.get("/auth/me")).json()
    assert (kept["spending_limit"], kept["locale"], kept["low_balance"]) == ({"day": 1, "month": 9}, None, 5)
    refused = await alice.post("/chat/message", json=say("hello", model=PRO))
    assert (refused.status_code, refused.json()["code"]) == (402, "spending_limit_reached")
    assert (refused.json()["available"], refused.json()["period"]) == (1, "day")
    await alice.patch("/auth/me", json={"spending_limit": None})
    assert (await alice.post("/chat/message", json=say("hello", model=PRO))).status_code == 200
    bad = await alice.patch("/auth/me", json={"spending_limit": {"day": -1}, "time_zone": "Mars"})
    assert [fault["field"] for fault in bad.json()["errors"]] == ["time_zone", "spending_limit.day"]


async def test_an_account_is_erased_with_its_password(service: Api) -> None:
    alice = await service.person()
    assert (await alice.request("DELETE", "/auth/me", json={"password": "wrong one"})).status_code == 401
    assert (await alice.request("DELETE", "/auth/me", json={})).status_code == 422
    assert (await alice.request("DELETE", "/auth/me", json={"password": PASSWORD})).status_code == 204
    assert (await alice.get("/auth/me")).status_code == 401


async def test_a_taken_username_and_a_taken_email_address_have_different_codes(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    same_name = await client.post("/auth/register", json=ADA | {"username": "ADA", "email": "other@example.org"})
    same_email = await client.post("/auth/register", json=ADA | {"username": "other"})
    assert (same_name.status_code, same_name.json()["code"]) == (409, "username_taken")
    assert (same_email.status_code, same_email.json()["code"]) == (409, "email_taken")


async def test_all_invalid_fields_are_named_together(service: Api) -> None:
    response = await service.client().post(
        "/auth/register", json={"username": "a b", "email": "nowhere", "password": "short"}
    )
    assert response.status_code == 422
    assert [fault["field"] for fault in response.json()["errors"]] == ["username", "email", "password"]


async def test_username_and_email_address_can_be_changed(service: Api) -> None:
    client = await service.person("ada")
    await service.person("bob")
    changed = await client.patch("/auth/me", json={"username": "ada.l", "email": "Ada.L@example.org"})
    assert changed.status_code == 200
    assert changed.json() == (await client.get("/auth/me")).json()
    assert (changed.json()["username"], changed.json()["email"]) == ("ada.l", "Ada.L@example.org")
    taken = await client.patch("/auth/me", json={"username": "bob"})
    assert (taken.status_code, taken.json()["code"]) == (409, "username_taken")
    wrong = await client.patch("/auth/me", json={"email": "nowhere"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "email")
    assert (await service.client().patch("/auth/me", json={})).status_code == 401


async def test_sign_in_works_with_the_username_or_the_email_address(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    for login in ("ada", "Ada@Example.org"):
        response = await client.post("/auth/login", json={"username": login, "password": PASSWORD})
        assert response.status_code == 200
        tokens = response.json()
        assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3_600)
        me = await client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert me.json()["username"] == "ada"


async def test_an_unknown_username_and_a_wrong_password_get_the_same_answer(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    answers = [
        await client.post("/auth/login", json={"username": name, "password": "wrong password"})
        for name in ("ada", "nobody")
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


async def test_a_refresh_token_works_once_and_a_second_use_ends_the_session(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    first = (await client.post("/auth/login", json={"username": "ada", "password": PASSWORD})).json()
    second = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    again = await client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert (again.status_code, again.json()["code"]) == (401, "unauthenticated")
    thief = await client.post("/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert thief.status_code == 401
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {second.json()['access_token']}"})
    assert me.status_code == 401


async def test_sign_out_invalidates_both_tokens(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    tokens = (await client.post("/auth/login", json={"username": "ada", "password": PASSWORD})).json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    assert (await client.post("/auth/logout")).status_code == 204
    assert (await client.get("/auth/me")).status_code == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).status_code == 401


async def test_a_new_password_ends_every_other_session(service: Api, alice: httpx.AsyncClient) -> None:
    elsewhere = service.client()
    login = {"username": "alice", "password": PASSWORD}
    tokens = (await elsewhere.post("/auth/login", json=login)).json()
    elsewhere.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    change = {"current_password": PASSWORD, "new_password": "a whole new one"}
    assert (await alice.post("/auth/password", json=change)).status_code == 204
    assert (await alice.get("/auth/me")).status_code == 200
    assert (await elsewhere.get("/auth/me")).status_code == 401
    assert (await elsewhere.post("/auth/login", json=login)).status_code == 401


async def test_a_wrong_current_password_changes_nothing(alice: httpx.AsyncClient) -> None:
    change = {"current_password": "not this one", "new_password": "a whole new one"}
    response = await alice.post("/auth/password", json=change)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_credentials")


async def test_too_many_refreshes_from_one_address_are_answered_with_the_time_to_wait() -> None:
    limit = Limit(name="refreshes of an address", times=2, window_s=60)
    async with api(rate_limits=MovingWindowRateLimits(), address_refreshes=limit) as service:
        client = service.client()
        answers = [await client.post("/auth/refresh", json={"refresh_token": "guess"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 61


@pytest.mark.parametrize("username", ["admin", "r00t", "\u0430da"])
async def test_a_name_like_that_of_staff_or_in_mixed_scripts_is_refused_with_the_reason(
    service: Api, username: str
) -> None:
    response = await service.client().post("/auth/register", json=ADA | {"username": username})
    assert response.status_code == 422
    assert [fault["field"] for fault in response.json()["errors"]] == ["username"]
    client = await service.person("ada")
    assert (await client.patch("/auth/me", json={"username": username})).status_code == 422


async def test_a_fullwidth_name_is_the_same_name(service: Api) -> None:
    client = service.client()
    await client.post("/auth/register", json=ADA)
    again = await client.post("/auth/register", json=ADA | {"username": "\uff41da", "email": "other@example.org"})
    assert (again.status_code, again.json()["code"]) == (409, "username_taken")


async def test_all_that_is_stored_about_a_person_is_one_document(service: Api) -> None:
    alice = await service.person()
    await alice.post("/auth/api-keys", json={"name": "CI"})
    for number in range(103):
        await alice.post("/chat/message", json=say(f"message {number}"))
    bob = await service.person("bob")
    await bob.post("/chat/message", json=say("the secret of Bob"))
    answer = await alice.get("/auth/export")
    document = answer.json()

    assert answer.headers["content-type"] == "application/json"
    assert "attachment" in answer.headers["content-disposition"]
    assert (document["account"]["username"], len(document["sessions"]), len(document["api_keys"])) == ("alice", 1, 1)
    sent = [each["prompt"] for each in document["messages"]]
    assert sorted(sent) == sorted(f"message {number}" for number in range(100))  # then the credits were spent
    assert (len(document["conversations"]), len(document["transactions"])) == (100, 101)
    assert "Bob" not in answer.text
    assert "digest" not in answer.text
