from __future__ import annotations

import logging
import re
from typing import cast

import httpx
import pytest

from chatbill.application.accounts.sign_in import Credentials
from chatbill.domain.shared.errors import RateLimited, Unauthenticated
from chatbill.entrypoints.ui import create_web
from chatbill.entrypoints.ui.shared.answers import error_response
from chatbill.testing import PlainOneTimeCodes
from tests.entrypoints.ui.conftest import ALICE, FROM_HERE, SITE, can_see_chat, registered
from tests.kit.letters import Letters
from tests.kit.staff import trail
from tests.kit.support import PASSWORD, World, world


async def test_registration_signs_in(client: httpx.AsyncClient) -> None:
    assert not await can_see_chat(client)
    answer = await registered(client)
    assert answer.status_code == 200
    assert answer.json() == {"username": "alice"}
    assert await can_see_chat(client)


async def test_scripts_and_other_sites_cannot_use_the_cookie(client: httpx.AsyncClient) -> None:
    cookie = (await registered(client)).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "max-age=7200" in cookie
    assert "secure" not in cookie


async def test_the_cookie_is_secure_over_https(client: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://chat.example.org"}
    answer = await client.post("https://chat.example.org/web/registration", json=ALICE, headers=origin)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-chatbill_session=")
    assert "; path=/;" in cookie.lower()
    assert "; secure" in cookie.lower()
    assert "domain" not in cookie.lower()


async def test_a_cookie_that_another_host_could_have_set_is_ignored_over_https(client: httpx.AsyncClient) -> None:
    await registered(client)
    plain = client.cookies["chatbill_session"]
    client.cookies.clear()
    page = await client.get("https://chat.example.org/ui/", headers={"Cookie": f"chatbill_session={plain}"})
    assert "gradio-app" not in page.text


async def test_signing_in_ends_the_session_that_was_there(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    before = dict(client.cookies)
    for path, fields in (
        ("/web/session", {"login": "alice", "password": PASSWORD}),
        ("/web/registration", ALICE | {"username": "bob", "email": "bob@example.org"}),
    ):
        assert (await client.post(path, json=fields)).status_code == 200
        with pytest.raises(Unauthenticated):
            await served.use_cases.accounts.web_authenticate(before["chatbill_session"])
        before = dict(client.cookies)
    assert await can_see_chat(client)


async def test_a_failed_sign_in_ends_nothing(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post("/web/session", json={"login": "alice", "password": "not the password"})
    assert answer.status_code == 401
    assert await can_see_chat(client)


async def test_a_token_of_the_api_is_no_cookie(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    of_api = await served.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD))
    client.cookies.set("chatbill_session", of_api.access_token)
    client.cookies.delete("chatbill_session", domain="chat.example.org")
    assert not await can_see_chat(client)


async def test_a_session_lasts_as_long_as_configured(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    served.clock.advance(7_199)
    assert await can_see_chat(client)
    served.clock.advance(1)
    assert not await can_see_chat(client)


async def test_sign_in_works_with_the_username_and_the_email_address(client: httpx.AsyncClient) -> None:
    await registered(client)
    for login in ("Alice", "ALICE@example.org"):
        client.cookies.clear()
        answer = await client.post("/web/session", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200
        assert await can_see_chat(client)


async def test_a_wrong_username_and_a_wrong_password_get_the_same_answer(client: httpx.AsyncClient) -> None:
    await registered(client)
    wrong_password = await client.post("/web/session", json={"login": "alice", "password": "not the password"})
    wrong_name = await client.post("/web/session", json={"login": "stranger", "password": PASSWORD})
    assert wrong_password.status_code == wrong_name.status_code == 401
    assert wrong_password.json() == wrong_name.json()
    assert "set-cookie" not in wrong_password.headers


async def test_sign_out_ends_the_session_for_copies_of_the_cookie_too(client: httpx.AsyncClient) -> None:
    await registered(client)
    copied = dict(client.cookies)
    answer = await client.delete("/web/session")
    assert answer.status_code == 204
    assert not client.cookies
    client.cookies.update(copied)
    assert not await can_see_chat(client)
    assert (await client.delete("/web/session")).status_code == 204


async def test_a_forged_cookie_is_ignored(client: httpx.AsyncClient) -> None:
    client.cookies.set("chatbill_session", "forged")
    assert not await can_see_chat(client)


async def test_every_invalid_field_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/web/registration", json={"username": "x", "email": "y", "password": "z"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert [error["field"] for error in answer.json()["errors"]] == ["username", "email", "password"]


async def test_a_username_that_is_taken_is_a_conflict(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await registered(client)
    assert answer.status_code == 409
    assert answer.json()["detail"] == "This username is taken. Choose another one."


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"login": 1, "password": "x"}', b"[" * 5_000, b"\xff"])
async def test_an_invalid_body_is_rejected(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/web/session", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize("field", ["username", "email", "password", "login"])
async def test_a_text_longer_than_any_name_is_rejected_before_it_is_normalized(
    client: httpx.AsyncClient, field: str
) -> None:
    # Unicode's order of such marks is found in the square of their number: 500,000 would take minutes.
    long = "a" + "\u0300\u0327" * 600
    path = "/web/session" if field == "login" else "/web/registration"
    answer = await client.post(path, json=ALICE | {"login": "alice", field: long})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "message": "This must be at most 1024 characters."}]


@pytest.mark.parametrize("path", ["/web/session", "/web/registration"])
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example.org"}, {"Origin": "null"}, {**FROM_HERE, "Sec-Fetch-Site": "cross-site"}],
)
async def test_a_page_of_another_site_cannot_sign_a_user_in(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    answer = await client.post(path, json=ALICE | {"login": "alice"}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_too_many_attempts_are_answered_with_retry_after() -> None:
    answer = error_response(RateLimited(retry_after_s=30))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"


async def test_the_log_line_of_a_request_has_a_number_as_status(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        refused = await client.post("/web/session", json={"login": "nobody", "password": "guess 1 guess"})
    assert refused.status_code == 401
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert repr(line["status"]) == "401"


async def test_acts_on_the_page_are_recorded_with_the_address_and_the_request(
    client: httpx.AsyncClient, served: World
) -> None:
    answers = [await registered(client)]
    answers.append(await client.post("/web/session", json={"login": "alice", "password": "wrong"}))
    answers.append(await client.request("DELETE", "/web/session"))
    assert [answer.status_code for answer in answers] == [200, 401, 204]
    records = await trail(served)
    assert [record.action.value for record in records] == [
        "account.registered",
        "session.started",
        "session.refused",
        "session.ended",
    ]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert [record.request_id for record in records] == [ids[0], *ids]
    assert {record.address for record in records} == {"127.0.0.1"}
    assert dict(records[1].after) == {"use": "page"}


async def test_the_form_is_asked_for_a_code_after_the_right_password(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    alice = (
        await served.use_cases.accounts.sign_in(Credentials(login="alice", password=PASSWORD, address="x"))
    ).principal
    secret = (await served.use_cases.accounts.set_second_factor(alice, None)).secret
    codes = cast("PlainOneTimeCodes", served.ports.one_time_codes)
    code = codes.code(secret, int(served.clock().timestamp()) // 30)
    recovery, *_ = await served.use_cases.accounts.confirm_second_factor(alice, code)
    fields = {"login": "alice", "password": PASSWORD}
    for sent in (fields, fields | {"code": ""}):
        asked = await client.post("/web/session", json=sent)
        assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_required")
    assert (await client.post("/web/session", json=fields | {"code": 5})).status_code == 422
    assert (await client.post("/web/session", json=fields | {"code": recovery})).status_code == 200


async def test_the_page_speaks_the_language_of_the_browser_until_another_is_chosen(client: httpx.AsyncClient) -> None:
    russian = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}
    assert '<html lang="ru">' in (await client.get("/ui/", headers=russian)).text
    chosen = await client.get("/ui/credits?lang=en", headers=russian)
    assert '<html lang="en">' in chosen.text
    assert "samesite=lax" in chosen.headers["set-cookie"].lower()
    assert '<html lang="en">' in (await client.get("/web/reset", headers=russian)).text
    assert "set-cookie" not in (await client.get("/ui/?lang=xx", headers=russian)).headers


async def test_a_new_account_has_the_language_and_the_time_zone_of_its_page(client: httpx.AsyncClient) -> None:
    await client.get("/ui/?lang=ru")
    assert (await client.post("/web/registration", json=ALICE | {"time_zone": "Europe/Paris"})).status_code == 200
    page = await client.get("/ui/", headers={"Accept-Language": "en"})
    assert re.search(r'<html[^>]*lang="ru"', page.text)
    view = (await client.get("/web/views/account")).text
    assert 'value="Europe/Paris"' in view


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "x" * 900, ""])
async def test_an_unknown_time_zone_of_a_browser_is_ignored(client: httpx.AsyncClient, zone: str) -> None:
    assert (await client.post("/web/registration", json=ALICE | {"time_zone": zone})).status_code == 200
    assert 'value="UTC"' in (await client.get("/web/views/account")).text


async def test_errors_are_in_the_language_of_the_page(client: httpx.AsyncClient) -> None:
    await client.get("/ui/?lang=ru")
    refused = await client.post("/web/session", json={"login": "alice", "password": "not the password"})
    assert re.search(r"[\u0430-\u044f]", refused.json()["detail"])


async def test_without_a_mail_server_an_administrator_is_named_for_a_forgotten_password(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/ui/")).text
    assert "An administrator can give you a link" in page
    assert 'id="forgot"' not in page


async def test_a_forgotten_password_is_answered_the_same_for_every_address() -> None:
    outbox = Letters()
    here = world(mailer=outbox)
    transport = httpx.ASGITransport(app=create_web(here.use_cases))
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as client:
        assert 'id="forgot"' in (await client.get("/ui/")).text
        await registered(client)
        answers = [
            await client.post("/web/forgotten-password", json={"email": email})
            for email in ("alice@example.org", "stranger@example.org", "not an address")
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
        elsewhere = {"Origin": "http://evil.example.org"}
        refused = await client.post("/web/forgotten-password", json={"email": "x"}, headers=elsewhere)
        assert refused.status_code == 403
