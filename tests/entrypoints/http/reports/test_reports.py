"""Reports over HTTP: the contract's fields, who may read them, and the files."""

from __future__ import annotations

import csv
import io
import zipfile

import httpx
import pytest

from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from tests.kit.http import Api, say
from tests.kit.support import PRO

USAGE, FINANCIAL = "/admin/reports/usage", "/admin/reports/financial"
USAGE_FIELDS = {
    *("key", "requests", "completed", "stopped", "failed", "timed_out", "interrupted"),
    *("prompt_tokens", "completion_tokens", "credits_charged"),
    *("latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "first_token_ms_p50", "first_token_ms_p95"),
}
CREDIT_FIELDS = {
    *("key", "opening", "sold", "bonus", "granted", "charged", "refunded", "adjusted"),
    *("closing", "paid_closing", "free_closing", "money"),
}


@pytest.fixture
async def used(alice: httpx.AsyncClient) -> None:
    """Alice buys 100 credits for 1.00 EUR and gets three replies, one of which fails."""
    assert (await alice.post("/billing/add", json={"package": "small"})).status_code == 201
    for text, model in (("Hello", "demo-mini"), ("Hello", PRO), ("[[fail:before]]", PRO)):
        await alice.post("/chat/message", json=say(text, model=model))


@pytest.mark.usefixtures("used")
async def test_a_usage_report_has_the_fields_of_the_contract(finance: httpx.AsyncClient) -> None:
    report = (await finance.get(USAGE, params={"group_by": "model"})).json()
    assert [row["key"] for row in report["rows"]] == ["demo-mini", "demo-pro"]
    for row in (*report["rows"], report["total"]):
        assert set(row) >= USAGE_FIELDS
    total = report["total"]
    assert (total["requests"], total["completed"], total["failed"], total["credits_charged"]) == (3, 2, 1, 4)


@pytest.mark.usefixtures("used")
async def test_a_financial_report_has_the_fields_of_the_contract(finance: httpx.AsyncClient) -> None:
    for group in ("day", "month", "user", "model"):
        report = (await finance.get(FINANCIAL, params={"group_by": group})).json()
        for row in (*report["rows"], report["total"]):
            assert set(row) >= CREDIT_FIELDS
        total = report["total"]
        assert (total["opening"], total["sold"], total["granted"], total["charged"]) == (0, 100, 200, 4)
        assert (total["closing"], total["paid_closing"], total["free_closing"]) == (296, 100, 196)
        assert total["money"] == [{"currency": "EUR", "received": "1.00", "owed": "1.00"}]


@pytest.mark.parametrize("group", ["model", "user", "api_key", "day", "hour", "outcome"])
@pytest.mark.usefixtures("used")
async def test_use_can_be_grouped(finance: httpx.AsyncClient, group: str) -> None:
    report = await finance.get(USAGE, params={"group_by": group, "tz": "Asia/Kathmandu"})
    rows = report.json()["rows"]
    assert sum(row["requests"] for row in rows) == 3
    assert report.json()["period"]["tz"] == "Asia/Kathmandu"


@pytest.mark.usefixtures("used")
async def test_each_role_reads_its_own_reports(service: Api, alice: httpx.AsyncClient, staff: object) -> None:
    expected = {
        UserRole.SUPPORT: (200, 403),
        UserRole.VIEWER: (200, 200),
        UserRole.FINANCE: (200, 200),
        UserRole.ADMIN: (200, 200),
    }
    for role, statuses in expected.items():
        member = await staff(role)  # type: ignore[operator]
        assert tuple([(await member.get(path)).status_code for path in (USAGE, FINANCIAL)]) == statuses, role
    assert [(await alice.get(path)).status_code for path in (USAGE, FINANCIAL)] == [403, 403]
    assert (await service.client().get(USAGE)).status_code == 401


@pytest.mark.usefixtures("used")
async def test_an_api_key_of_the_staff_reads_no_report(service: Api, finance: httpx.AsyncClient) -> None:
    made = await finance.post("/auth/api-keys", json={"name": "ci", "scopes": ["chat", "read", "billing", "account"]})
    program = service.client(headers={"Authorization": f"Bearer {made.json()['key']}"})
    assert (await program.get(USAGE)).status_code == 403


@pytest.mark.usefixtures("used")
async def test_names_of_people_come_with_the_report_by_user(finance: httpx.AsyncClient) -> None:
    for path in (USAGE, FINANCIAL):
        rows = (await finance.get(path, params={"group_by": "user"})).json()["rows"]
        assert "alice" in {row["name"] for row in rows}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "to"),
        ({"group_by": "colour"}, "group_by"),
        ({"format": "pdf"}, "format"),
        ({"from": "2020-01-01", "to": "2026-01-01", "group_by": "hour"}, "from"),
    ],
)
async def test_a_bad_parameter_is_named(finance: httpx.AsyncClient, params: dict[str, str], field: str) -> None:
    refused = await finance.get(USAGE, params=params)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.usefixtures("used")
async def test_csv_has_a_line_for_each_row(service: Api, finance: httpx.AsyncClient) -> None:
    answer = await finance.get(FINANCIAL, params={"group_by": "user", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="chatbill-financial.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    [alice] = [row for row in rows if row["name"] == "alice"]
    assert (alice["closing"], alice["received_EUR"], alice["owed_EUR"]) == ("196", "1.00", "1.00")
    trail = await exports(service)
    assert trail == [{"group_by": "user", "format": "csv", "rows": len(rows)}]


async def exports(service: Api) -> list[dict[str, object]]:
    chosen = AuditFilter(action=AuditAction.EXPORTED)
    records = await service.world.store.read(lambda one: one.audit_trail.newest(chosen, after=None, limit=9))
    return [{key: value for key, value in record.after.items() if key not in {"from", "to"}} for record in records]


@pytest.mark.usefixtures("used")
async def test_a_spreadsheet_is_typed_with_a_frozen_header_and_sums(finance: httpx.AsyncClient) -> None:
    answer = await finance.get(USAGE, params={"group_by": "outcome", "format": "xlsx"})
    sheet = zipfile.ZipFile(io.BytesIO(answer.content)).read("xl/worksheets/sheet1.xml").decode()
    assert 'state="frozen"' in sheet
    assert "<f>SUM(B2:B3)</f><v>3</v>" in sheet
