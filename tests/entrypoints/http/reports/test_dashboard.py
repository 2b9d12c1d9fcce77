"""The dashboard over HTTP."""

from __future__ import annotations

import httpx

from chatbill.domain.accounts.users import UserRole
from tests.entrypoints.http.reports.conftest import Staff
from tests.kit.http import Api, say
from tests.kit.rows import alert
from tests.kit.support import PRO

DASHBOARD = "/admin/dashboard"


async def test_it_has_the_figures_of_the_contract(
    staff: Staff, alice: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    await alice.post("/billing/add", json={"package": "small"})
    for text, model in (("Hello", "demo-mini"), ("Hello", PRO), ("[[fail:before]]", PRO)):
        await alice.post("/chat/message", json=say(text, model=model))
    admin = await staff(UserRole.ADMIN)
    found = (await admin.get(DASHBOARD)).json()
    assert set(found) == {"period", "users", "requests", "credits", "models", "alerts"}
    assert found["users"] == {"total": 3, "new": 3, "active": 1}
    assert found["requests"]["total"] == 3
    assert found["requests"]["by_outcome"] == {
        "completed": 2,
        "stopped": 0,
        "failed": 1,
        "timed_out": 0,
        "interrupted": 0,
    }
    credits_ = found["credits"]
    assert (credits_["sold"], credits_["granted"], credits_["charged"], credits_["held"]) == (100, 300, 4, 0)
    assert (credits_["owned"], credits_["owed"]) == (396, 100)
    models = {model["id"]: model for model in found["models"]}
    assert {name: models[name]["requests"] for name in models} == {"demo-mini": 1, "demo-pro": 2}
    assert models["demo-mini"]["status"] == "ready"
    report = (await admin.get("/admin/reports/usage", params={"group_by": "model"})).json()
    assert [models[row["key"]]["latency_ms"]["p95"] for row in report["rows"]] == [
        row["latency_ms_p95"] for row in report["rows"]
    ]


async def test_a_period_without_anything_has_zeros(staff: Staff, alice: httpx.AsyncClient) -> None:
    admin = await staff(UserRole.ADMIN)
    found = (await admin.get(DASHBOARD, params={"from": "2020-01-01", "to": "2020-01-31"})).json()
    assert found["users"] == {"total": 0, "new": 0, "active": 0}
    assert found["credits"]["owned"] == 0


async def test_who_may_not_see_money_sees_the_rest(staff: Staff, alice: httpx.AsyncClient) -> None:
    support = await staff(UserRole.SUPPORT)
    found = (await support.get(DASHBOARD)).json()
    assert (found["credits"], found["users"]["total"]) == (None, 2)
    assert (await alice.get(DASHBOARD)).status_code == 403


async def test_open_alerts_are_shown_and_the_report_of_a_period_has_its_own(
    service: Api, staff: Staff, alice: httpx.AsyncClient
) -> None:
    admin = await staff(UserRole.ADMIN)
    await alice.post("/chat/message", json=say("Hello"))
    now = service.world.clock.now
    opened = alert("one", opened_at=now)
    await service.world.store.write(lambda tx: tx.alerts.add(opened))
    shown = (await admin.get(DASHBOARD)).json()["alerts"]
    report = (await admin.get("/monitoring/report")).json()
    earlier = (await admin.get("/monitoring/report", params={"from": "2020-01-01", "to": "2020-01-02"})).json()

    assert [alert["id"] for alert in shown] == ["one"]
    assert report["summary"]["alerts"] == report["alerts"] == shown
    assert (report["usage"]["group_by"], report["usage"]["total"]["requests"]) == ("day", 1)
    assert (earlier["alerts"], earlier["usage"]["total"]["requests"]) == ([], 0)


async def test_use_over_time_is_by_day_or_hour(staff: Staff, alice: httpx.AsyncClient) -> None:
    viewer = await staff(UserRole.VIEWER)
    await alice.post("/chat/message", json=say("Hello"))
    days = (await viewer.get("/monitoring/analytics")).json()
    hours = (await viewer.get("/monitoring/analytics", params={"group_by": "hour"})).json()
    assert (days["group_by"], hours["group_by"]) == ("day", "hour")
    assert days["total"]["requests"] == hours["total"]["requests"] == 1
    assert (await viewer.get("/monitoring/analytics", params={"group_by": "model"})).status_code == 422
    assert (await alice.get("/monitoring/analytics")).status_code == 403
