"""The profile: names, language, time zone and limits."""

from __future__ import annotations

from html import unescape

import httpx
import pytest

from chatbill.entrypoints.ui import create_web
from tests.entrypoints.ui.conftest import ALICE, FROM_HERE, SITE, registered
from tests.kit.letters import Letters
from tests.kit.support import PASSWORD, World, world

LIMITS = ("spending_limit.day", "spending_limit.month", "low_balance")


async def view(client: httpx.AsyncClient) -> str:
    """Return the fragment of the profile."""
    answer = await client.get("/web/views/account")
    assert answer.status_code == 200
    return unescape(answer.text)


async def test_a_name_and_an_address_are_changed(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post("/web/account", json={"username": "ada", "email": "ada@example.org"})
    assert (answer.status_code, answer.json()["refresh"]) == (200, True)
    shown = await view(client)
    assert 'value="ada"' in shown
    assert 'value="ada@example.org"' in shown
    assert "Your address is not verified. This service sends no e-mail, so there is nothing to do." in shown
    assert (await client.post("/web/session", json={"login": "ada", "password": PASSWORD})).status_code == 200


async def test_an_older_sign_in_changes_the_address_with_the_password_only(
    client: httpx.AsyncClient, served: World
) -> None:
    await registered(client)
    served.clock.advance(600)
    names = {"username": "alice", "email": "ada@example.org"}
    refused = await client.post("/web/account", json=names)
    assert (refused.status_code, refused.json()["code"]) == (403, "password_required")
    assert [error["field"] for error in refused.json()["errors"]] == ["password"]
    assert (await client.post("/web/account", json=names | {"password": "a wrong one"})).status_code == 401
    assert (await client.post("/web/account", json=names | {"password": PASSWORD})).status_code == 200


async def test_the_language_and_the_time_zone_are_those_of_the_next_page(client: httpx.AsyncClient) -> None:
    await registered(client)
    preferences = {"locale": "ru", "time_zone": " Asia/Tokyo "}
    assert (await client.post("/web/account/preferences", json=preferences)).json()["reload"] is True
    assert 'lang="ru"' in (await client.get("/ui/")).text
    assert 'value="Asia/Tokyo"' in await view(client)
    assert (await client.post("/web/account/preferences", json=preferences | {"locale": ""})).status_code == 200
    assert 'lang="en"' in (await client.get("/ui/", headers={"Accept-Language": "en"})).text


async def test_an_unknown_time_zone_is_named_beside_its_field(client: httpx.AsyncClient) -> None:
    await registered(client)
    answer = await client.post("/web/account/preferences", json={"locale": "en", "time_zone": "Mars/Olympus"})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["time_zone"])


async def test_limits_are_set_and_removed(client: httpx.AsyncClient, served: World) -> None:
    await registered(client)
    principal = await served.use_cases.accounts.web_authenticate(client.cookies["chatbill_session"])
    assert (await client.post("/web/account/limits", json=dict(zip(LIMITS, ("5", "50", "0"), strict=True)))).is_success
    account = await served.use_cases.accounts.read_account(principal)
    assert (account.limits.day, account.limits.month, account.low_balance) == (5, 50, 0)
    assert 'value="50"' in await view(client)
    assert (await client.post("/web/account/limits", json=dict.fromkeys(LIMITS, ""))).is_success
    account = await served.use_cases.accounts.read_account(principal)
    assert (account.limits.day, account.limits.month, account.low_balance) == (None, None, None)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("typed", ["-1", "1.5", "1,000", "ten", "9" * 19])
async def test_an_ambiguous_limit_is_rejected(client: httpx.AsyncClient, field: str, typed: str) -> None:
    await registered(client)
    answer = await client.post("/web/account/limits", json=dict.fromkeys(LIMITS, "") | {field: typed})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_the_letter_of_an_address_is_sent_again_where_there_is_a_mail_server(client: httpx.AsyncClient) -> None:
    await registered(client)
    assert "Send the letter again" not in await view(client)
    outbox = Letters()
    here = world(mailer=outbox)
    transport = httpx.ASGITransport(app=create_web(here.use_cases))
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as with_mail:
        assert (await with_mail.post("/web/registration", json=ALICE)).status_code == 200
        assert "Send the letter again" in await view(with_mail)
        answer = await with_mail.post("/web/account/letter", json={})
        assert answer.json()["say"] == "A letter is on its way to alice@example.org."
        await here.use_cases.jobs.run_jobs()
        assert [letter.to for letter in outbox.letters] == ["alice@example.org"] * 2
        token = outbox.letters[-1].token
        assert (await with_mail.post("/web/verify", json={"token": token})).status_code == 204
        assert "Your address is verified." in await view(with_mail)


async def test_what_people_call_themselves_is_escaped(client: httpx.AsyncClient) -> None:
    await registered(client)
    hostile = '"><img src=x onerror=alert(1)>'
    answer = await client.post("/web/account", json={"username": "alice", "email": f"{hostile}@example.org"})
    assert answer.status_code == 422
    assert "<img" not in (await client.get("/web/views/account")).text
