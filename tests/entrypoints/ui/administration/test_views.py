"""The views of the administration, over the application and its real use cases."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from chatbill.domain.accounts.permissions import Permission, permissions_of
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.entrypoints.ui.shared.visits import Visit
from tests.entrypoints.ui.administration.conftest import Enter, chatted
from tests.entrypoints.ui.conftest import FROM_HERE, SITE
from tests.kit.staff import id_of, member, trail
from tests.kit.support import World

ROUTES = {
    ("GET", "/web/views/administration"): Permission.READ_USE,
    ("GET", "/web/views/administration/use"): Permission.READ_USE,
    ("GET", "/web/views/administration/money"): Permission.READ_MONEY,
    ("GET", "/web/views/administration/people"): Permission.READ_PEOPLE,
    ("GET", "/web/views/administration/people/{user_id}"): Permission.READ_PEOPLE,
    ("GET", "/web/views/administration/requests"): Permission.READ_USE,
    ("GET", "/web/views/administration/ledger"): Permission.READ_MONEY,
    ("GET", "/web/views/administration/audit"): Permission.READ_AUDIT,
    ("GET", "/web/views/administration/codes"): Permission.READ_MONEY,
    ("GET", "/web/views/administration/models"): Permission.READ_USE,
    ("GET", "/web/views/administration/alerts"): Permission.READ_USE,
    ("GET", "/web/administration/requests/file"): Permission.READ_USE,
    ("GET", "/web/administration/ledger/file"): Permission.READ_MONEY,
    ("GET", "/web/administration/use/file"): Permission.READ_USE,
    ("GET", "/web/administration/money/file"): Permission.READ_MONEY,
    ("POST", "/web/administration/people"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/state"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/role"): Permission.MANAGE_ROLES,
    ("POST", "/web/administration/people/{user_id}/sign-out"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/password-link"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/second-factor"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/keys"): Permission.MANAGE_PEOPLE,
    ("POST", "/web/administration/people/{user_id}/credits"): Permission.ADJUST_CREDITS,
    ("POST", "/web/administration/people/{user_id}/erase"): Permission.ERASE_PEOPLE,
    ("POST", "/web/administration/requests/{interaction_id}/refund"): Permission.REFUND,
    ("POST", "/web/administration/codes"): Permission.ADJUST_CREDITS,
    ("POST", "/web/administration/codes/{code_id}/withdraw"): Permission.ADJUST_CREDITS,
    ("POST", "/web/administration/memory"): Permission.OPERATE,
    ("POST", "/web/administration/alerts/{alert_id}/acknowledge"): Permission.OPERATE,
}
FIELDS = {
    "reason": "a test", "state": "suspended", "role": "viewer", "amount": "5", "key": "", "credits": "5", "uses": "1",
    "last_day": "", "username": "new.one", "email": "new@example.org",
}  # fmt: skip


async def test_every_route_of_the_administration_is_in_the_table(web: FastAPI) -> None:
    found = {route: needed for route, needed in web.state.site.permissions.items() if "administration" in route[1]}
    assert found == ROUTES


async def test_no_other_route_of_the_page_needs_a_permission(web: FastAPI) -> None:
    others = {route: needed for route, needed in web.state.site.permissions.items() if "administration" not in route[1]}
    assert set(others.values()) == {None}


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_gets_exactly_its_own_routes(served: World, enter: Enter, role: UserRole) -> None:
    interaction_id = await chatted(served)
    ids = {"user_id": await id_of(served, "ann"), "interaction_id": interaction_id, "code_id": "x", "alert_id": "x"}
    client = await enter(role)
    # What erases comes last.
    for (method, path), needed in sorted(ROUTES.items(), key=lambda route: "erase" in route[0][1]):
        address = path.format(**ids)
        # A role other than that of a user needs one more permission, in a new account too.
        fields = FIELDS | ({} if path.endswith("/role") else {"role": "user"})
        answer = await client.request(method, address, json=fields if method == "POST" else None)
        if needed in permissions_of(role):
            assert answer.status_code != 403, (address, answer.text)
            assert answer.status_code < 500, (address, answer.text)
        else:
            assert answer.status_code == 403, address
            assert answer.json()["code"] == "forbidden"


async def test_a_route_refuses_people_without_its_permission_also_where_its_use_case_does_not(
    web: FastAPI, enter: Enter
) -> None:
    async def tells(visit: Visit) -> Response:
        return Response("a secret")

    web.state.site.get("/web/administration/careless", tells, Permission.READ_AUDIT)
    assert (await (await enter(UserRole.ADMIN)).get("/web/administration/careless")).text == "a secret"
    refused = await (await enter(UserRole.SUPPORT)).get("/web/administration/careless")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_strangers_see_nothing(web: FastAPI) -> None:
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url=SITE, headers=FROM_HERE) as stranger:
        for method, path in ROUTES:
            assert (await stranger.request(method, path.format_map(dict.fromkeys(
                ("user_id", "interaction_id", "code_id", "alert_id"), "x")), json=FIELDS if method == "POST" else None
            )).status_code == 401  # fmt: skip


@pytest.mark.parametrize("role", [role for role in UserRole if permissions_of(role)])
async def test_a_person_is_shown_the_sections_of_their_role_alone(enter: Enter, role: UserRole) -> None:
    client = await enter(role)
    page = (await client.get("/web/views/administration")).text
    for (method, path), needed in ROUTES.items():
        if method == "GET" and path.startswith("/web/views/") and "{" not in path:
            shown = f'href="{path.removeprefix("/web/views/")}"' in page
            assert shown == (needed in permissions_of(role)), path


@pytest.mark.parametrize(
    "path", ["", "/use", "/money", "/people", "/requests", "/ledger", "/codes", "/models", "/alerts", "/audit"]
)
async def test_every_section_is_shown(served: World, enter: Enter, path: str) -> None:
    await chatted(served)
    client = await enter(UserRole.ADMIN)
    answer = await client.get(f"/web/views/administration{path}")
    assert answer.status_code == 200, answer.text
    assert answer.text.count("<h1>") == 1
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "query",
    [
        "group_by=user",
        "group_by=day&from=2026-01-01&to=2026-01-31",
        "group_by=hour",
        "group_by=outcome",
        "tz=Asia/Tokyo",
    ],
)
async def test_reports_are_grouped_and_bounded_by_the_address(served: World, enter: Enter, query: str) -> None:
    await chatted(served)
    client = await enter(UserRole.ADMIN)
    assert (await client.get(f"/web/views/administration/use?{query}")).status_code == 200


@pytest.mark.parametrize("query", ["group_by=planet", "from=yesterday", "from=2026-02-01&to=2026-01-01", "tz=Mars"])
@pytest.mark.parametrize("section", ["use", "money"])
async def test_a_wrong_parameter_is_explained(enter: Enter, section: str, query: str) -> None:
    client = await enter(UserRole.ADMIN)
    answer = await client.get(f"/web/views/administration/{section}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_names_are_text_and_never_html(served: World, enter: Enter) -> None:
    client = await enter(UserRole.ADMIN)
    reason = "<img src=x onerror=alert(1)>"
    await chatted(served)
    ann = await id_of(served, "ann")
    answer = await client.post(f"/web/administration/people/{ann}/credits", json=FIELDS | {"reason": reason})
    assert answer.status_code == 200
    for path in ("audit", "ledger"):
        page = (await client.get(f"/web/views/administration/{path}")).text
        assert "<img" not in page
        assert "&lt;img" in page


@pytest.mark.parametrize("section", ["requests", "ledger", "audit"])
async def test_people_are_named_and_found_by_their_names(served: World, enter: Enter, section: str) -> None:
    await chatted(served)
    client, ann = await enter(UserRole.ADMIN), await id_of(served, "ann")
    field = "actor" if section == "audit" else "user"
    link = f'<a href="administration/people/{ann}">ann</a>'
    for asked in ("ann", "ANN@example.org", ann):
        page = (await client.get(f"/web/views/administration/{section}", params={field: asked})).text
        assert link in page, asked
    for asked in ("nobody-of-this-name", "x" * 200, "<b>"):
        answer = await client.get(f"/web/views/administration/{section}", params={field: asked})
        assert answer.status_code == 200
        assert link not in answer.text


async def test_prompts_and_replies_are_hidden(served: World, enter: Enter) -> None:
    await chatted(served, text="my secret plan")
    client = await enter(UserRole.ADMIN)
    page = (await client.get("/web/views/administration/requests")).text
    assert "secret" not in page
    assert (await client.get("/web/views/administration/requests?q=secret")).status_code == 422


async def test_a_second_click_gives_credits_once(served: World, enter: Enter) -> None:
    await chatted(served)
    client, ann = await enter(UserRole.ADMIN), await id_of(served, "ann")
    for _ in range(2):
        answer = await client.post(f"/web/administration/people/{ann}/credits", json=FIELDS | {"key": "one"})
        assert answer.status_code == 200
    record = await served.use_cases.administration.show_user.unchecked("ann")
    assert record.balance == 100 - 1 + 5


@pytest.mark.parametrize("amount", ["", "0", "5.5", "1e3", "٣", "99999999999999999999", "--5"])
async def test_an_amount_that_is_none_is_explained(served: World, enter: Enter, amount: str) -> None:
    await chatted(served)
    client, ann = await enter(UserRole.ADMIN), await id_of(served, "ann")
    answer = await client.post(f"/web/administration/people/{ann}/credits", json=FIELDS | {"amount": amount})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "amount"


async def test_a_reply_is_refunded_once(served: World, enter: Enter) -> None:
    interaction_id = await chatted(served)
    client = await enter(UserRole.FINANCE)
    path = f"/web/administration/requests/{interaction_id}/refund"
    answer = await client.post(path, json={"reason": "useless", "key": "k"})
    assert answer.json()["say"] == "Given back: 1 credit."
    assert (await client.post(path, json={"reason": "useless", "key": "other"})).status_code == 409


async def test_a_link_for_a_password_is_shown_once_and_with_the_address_of_the_page(
    served: World, enter: Enter
) -> None:
    await chatted(served)
    client, ann = await enter(UserRole.SUPPORT), await id_of(served, "ann")
    answer = await client.post(f"/web/administration/people/{ann}/password-link", json={"reason": "lost"})
    assert f"{SITE}/web/reset#" in answer.json()["put"]["cb-once"]
    assert answer.headers["cache-control"] == "no-store"
    assert "reset#" not in (await client.get(f"/web/views/administration/people/{ann}")).text


async def test_an_account_is_made_with_a_link(served: World, enter: Enter) -> None:
    client = await enter(UserRole.ADMIN)
    answer = await client.post("/web/administration/people", json=FIELDS | {"role": "support"})
    assert "/web/reset#" in answer.json()["put"]["cb-once"]
    assert (await served.use_cases.administration.show_user.unchecked("new.one")).user.role is UserRole.SUPPORT


async def test_a_suspended_person_is_signed_out_and_the_trail_says_why(served: World, enter: Enter) -> None:
    ann = await enter(UserRole.USER, "ann")
    admin = await enter(UserRole.ADMIN)
    person = await id_of(served, "ann")
    answer = await admin.post(
        f"/web/administration/people/{person}/state", json={"state": "suspended", "reason": "spam"}
    )
    assert answer.json()["refresh"] is True
    assert (await ann.get("/web/views/account")).status_code == 401
    (record,) = await trail(served, AuditAction.USER_SUSPENDED)
    assert record.reason == "spam"


async def test_a_code_is_shown_once_and_can_be_withdrawn(served: World, enter: Enter) -> None:
    client = await enter(UserRole.ADMIN)
    answer = await client.post("/web/administration/codes", json=FIELDS)
    assert 'id="cb-secret"' in answer.json()["put"]["cb-once"]
    page = await served.use_cases.administration.list_codes(await member(served, name="other"))
    code = page.items[0].code
    assert "cb-secret" not in (await client.get("/web/views/administration/codes")).text
    withdrawn = await client.post(f"/web/administration/codes/{code.id}/withdraw", json={"reason": "over"})
    assert withdrawn.json()["refresh"] is True


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
async def test_reports_are_exported_and_the_trail_says_so(served: World, enter: Enter, form: str) -> None:
    await chatted(served)
    client = await enter(UserRole.FINANCE)
    answer = await client.get(f"/web/administration/money/file?format={form}")
    assert answer.status_code == 200
    assert f"chatbill-financial.{form}" in answer.headers["content-disposition"]
    assert answer.content
    (record,) = await trail(served, AuditAction.EXPORTED)
    assert record.after["format"] == form


@pytest.mark.parametrize("path", ["people/none", "people/%00", f"people/{'x' * 100}"])
async def test_a_person_who_does_not_exist_is_not_found(enter: Enter, path: str) -> None:
    client = await enter(UserRole.ADMIN)
    assert (await client.get(f"/web/views/administration/{path}")).status_code == 404


@pytest.mark.parametrize("path", ["", "/use", "/people", "/people/some-id", "/audit"])
async def test_views_have_addresses_that_survive_a_reload(enter: Enter, path: str) -> None:
    client = await enter(UserRole.ADMIN)
    answer = await client.get(f"/ui/administration{path}")
    assert answer.status_code == 200
    assert 'id="cb-frame"' in answer.text
