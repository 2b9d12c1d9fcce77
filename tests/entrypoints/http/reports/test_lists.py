"""The entries and requests behind the figures, and the files with all of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.reports.export_places import ExportPlaces
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction, AuditRecord
from chatbill.domain.shared.errors import Overloaded, RateLimited
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.web.tables import original
from tests.entrypoints.http.reports.conftest import Staff
from tests.kit.http import Api, api, say, served
from tests.kit.stores import STORES
from tests.kit.support import PRO
from tests.kit.waiting import eventually

LEDGER, REQUESTS = "/admin/ledger", "/admin/interactions"


@pytest.fixture
async def used(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> str:
    """Alice has three replies of two models and buys credits, Bob has one reply; the id of Alice."""
    await alice.post("/billing/add", json={"package": "small"})
    for text, model in (("=1+1", "demo-mini"), ("Hello", PRO), ("[[fail:before]]", PRO)):
        await alice.post("/chat/message", json=say(text, model=model))
    await bob.post("/chat/message", json=say("Secret plans"))
    return str((await alice.get("/auth/me")).json()["id"])


async def test_a_figure_of_a_report_is_followed_down_to_its_entries(finance: httpx.AsyncClient, used: str) -> None:
    report = (await finance.get("/admin/reports/financial", params={"group_by": "user"})).json()
    [row] = [row for row in report["rows"] if row["key"] == used]
    charges = (await finance.get(LEDGER, params={"user": used, "kind": "charge"})).json()["items"]
    assert sum(-entry["amount"] for entry in charges) == row["charged"] == 4
    assert {entry["user_id"] for entry in charges} == {used}
    of_pro = (await finance.get(LEDGER, params={"model": PRO})).json()["items"]
    assert [entry["amount"] for entry in of_pro] == [-3]
    nothing = await finance.get(LEDGER, params={"to": "2020-01-01"})
    assert nothing.json() == {"items": [], "next_cursor": None}


async def test_lists_come_in_pages_newest_first(finance: httpx.AsyncClient, used: str) -> None:
    for path in (LEDGER, REQUESTS):
        whole = (await finance.get(path, params={"limit": 100})).json()["items"]
        page = (await finance.get(path, params={"limit": 2})).json()
        found = page["items"]
        while page["next_cursor"]:
            page = (await finance.get(path, params={"limit": 2, "cursor": page["next_cursor"]})).json()
            found += page["items"]
        assert found == whole
        assert [each["id"] for each in whole] == sorted((each["id"] for each in whole), reverse=True)


async def test_requests_are_selected_by_person_model_outcome_and_end(finance: httpx.AsyncClient, used: str) -> None:
    for params, count in (
        ({"user": used}, 3),
        ({"model": PRO}, 2),
        ({"outcome": "failed"}, 1),
        ({"outcome": "completed", "user": used}, 2),
        ({"from": "2020-01-01"}, 4),
        ({"to": "2020-01-01"}, 0),
    ):
        assert len((await finance.get(REQUESTS, params=params)).json()["items"]) == count, params


@pytest.mark.parametrize("path", [LEDGER, REQUESTS])
async def test_who_may_not_read_a_list_leaves_no_record_of_an_export(
    service: Api, alice: httpx.AsyncClient, path: str
) -> None:
    for params in ({}, {"format": "csv"}, {"format": "xlsx"}):
        assert (await alice.get(path, params=params)).status_code == 403
    assert await records(service, AuditAction.EXPORTED) == []


async def test_texts_are_null_and_cannot_be_searched(service: Api, staff: Staff, used: str) -> None:
    admin = await staff(UserRole.ADMIN)
    items = (await admin.get(REQUESTS)).json()["items"]
    assert {(each["prompt"], each["reply"]) for each in items} == {(None, None)}
    refused = await admin.get(REQUESTS, params={"q": "Secret"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "q")
    assert await records(service, AuditAction.TEXTS_READ) == []


async def records(service: Api, action: AuditAction) -> list[AuditRecord]:
    chosen = AuditFilter(action=action)
    return await service.world.store.read(lambda one: one.audit_trail.newest(chosen, after=None, limit=99))


class TestWhereTextsAreReadable:
    @pytest.fixture(params=("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)))
    async def service(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
        store = STORES[request.param](tmp_path)
        async with api(store=store, admin_reads_texts=True) as running:
            yield running
        await store.close()

    async def test_an_administrator_reads_them_and_each_page_is_recorded(
        self, service: Api, staff: Staff, used: str
    ) -> None:
        admin = await staff(UserRole.ADMIN)
        items = (await admin.get(REQUESTS, params={"user": used})).json()["items"]
        assert {each["prompt"] for each in items} == {"=1+1", "Hello", "[[fail:before]]"}
        [found] = (await admin.get(REQUESTS, params={"q": "secret"})).json()["items"]
        assert found["prompt"] == "Secret plans"
        searched, read = await records(service, AuditAction.TEXTS_READ)
        assert (read.subject_kind, read.subject_id, read.after["count"]) == ("user", used, 3)
        assert (searched.after["searched"], searched.after["newest"]) == (True, found["id"])
        assert "Secret" not in str(searched)

    async def test_other_members_of_the_staff_do_not(self, service: Api, finance: httpx.AsyncClient, used: str) -> None:
        assert {each["prompt"] for each in (await finance.get(REQUESTS)).json()["items"]} == {None}
        assert (await finance.get(REQUESTS, params={"q": "secret"})).status_code == 422
        assert await records(service, AuditAction.TEXTS_READ) == []

    async def test_csv_keeps_texts_that_look_like_formulas_as_texts(self, staff: Staff, used: str) -> None:
        admin = await staff(UserRole.ADMIN)
        rows = list(csv.DictReader(io.StringIO((await admin.get(REQUESTS, params={"format": "csv"})).text)))
        prompts = [row["prompt"] for row in rows]
        assert "'=1+1" in prompts
        assert "=1+1" in map(original, prompts)


async def test_a_file_has_every_row_in_each_format(service: Api, finance: httpx.AsyncClient, used: str) -> None:
    wanted = (await finance.get(LEDGER, params={"limit": 100})).json()["items"]
    as_csv = await finance.get(LEDGER, params={"format": "csv"})
    as_json = await finance.get(LEDGER, params={"format": "json"})
    assert as_json.json()["items"] == wanted
    assert [row["id"] for row in csv.DictReader(io.StringIO(as_csv.text))] == [each["id"] for each in wanted]
    assert (await finance.get(LEDGER, params={"format": "xlsx"})).content[:2] == b"PK"
    assert [record.subject_id for record in await records(service, AuditAction.EXPORTED)] == ["ledger"] * 3


async def test_people_export_their_own_rows(alice: httpx.AsyncClient, used: str) -> None:
    history = await alice.get("/chat/history/export", params={"format": "json"})
    assert {each["prompt"] for each in history.json()["items"]} == {"=1+1", "Hello", "[[fail:before]]"}
    rows = await alice.get("/billing/transactions/export", params={"format": "csv"})
    assert [row["kind"] for row in csv.DictReader(io.StringIO(rows.text))] == ["charge", "charge", "top_up", "grant"]
    refused = await alice.get("/chat/history/export", params={"format": "xlsx"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "format")


def test_a_person_has_one_export_at_a_time_and_all_together_few() -> None:
    places = ExportPlaces(in_all=2)
    places.take(UserId("a"))
    with pytest.raises(RateLimited):
        places.take(UserId("a"))
    places.take(UserId("b"))
    with pytest.raises(Overloaded):
        places.take(UserId("c"))
    places.release(UserId("a"))
    places.take(UserId("c"))


async def test_a_client_that_leaves_ends_its_export() -> None:
    async with served() as running:
        person = await running.person()
        for _ in range(3):
            await person.post("/chat/message", json=say("[[tokens:200]]"))
        places = running.world.use_cases.reports.export_places
        async with person.stream("GET", "/chat/history/export", params={"format": "csv"}) as response:
            assert response.status_code == 200
        await eventually(lambda: not places.taken)
        again = await person.get("/chat/history/export", params={"format": "json"})
        assert len(json.loads(again.text)["items"]) == 3
