"""Alerts, figures and advice over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Engine, FreesMemory
from chatbill.application.ports.machine import MachineFigures
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from tests.kit.http import api, say
from tests.kit.rows import alert
from tests.kit.staff import client_of
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually

READ = ("/admin/alerts", "/monitoring/health", "/monitoring/metrics", "/performance/metrics", "/performance/analysis")
OPERATE = ("/admin/alerts/alert/acknowledge", "/performance/optimize/memory")
READERS = {UserRole.VIEWER, UserRole.SUPPORT, UserRole.FINANCE, UserRole.ADMIN}


@pytest.mark.parametrize("role", list(UserRole))
async def test_each_role_gets_its_own_routes(role: UserRole) -> None:
    async with api() as service:
        await service.world.store.write(lambda tx: tx.alerts.add(alert()))
        client = await client_of(service, role)
        for path in READ:
            assert (await client.get(path)).status_code == (200 if role in READERS else 403), path
        for path in OPERATE:
            assert (await client.post(path)).status_code == (200 if role is UserRole.ADMIN else 403), path


async def test_api_keys_and_strangers_get_none_of_them() -> None:
    async with api() as service:
        admin = await client_of(service, UserRole.ADMIN)
        key = (await admin.post("/auth/api-keys", json={"name": "k", "scopes": ["read", "account"]})).json()["key"]
        program, stranger = service.client(headers={"Authorization": f"Bearer {key}"}), service.client()
        for path in READ:
            assert [(await each.get(path)).status_code for each in (program, stranger)] == [403, 401], path
        for path in OPERATE:
            assert [(await each.post(path)).status_code for each in (program, stranger)] == [403, 401], path


async def test_an_alert_is_listed_acknowledged_once_and_on_record() -> None:
    async with api() as service:
        await service.world.store.write(lambda tx: tx.alerts.add(alert(evidence={"model": "m", "reason": "r"})))
        admin = await client_of(service, UserRole.ADMIN)
        listed = (await admin.get("/admin/alerts?open=true&kind=model_unhealthy")).json()
        (found,) = listed["items"]
        assert (found["message"], found["acknowledged_at"]) == ("The model m does not write (r).", None)
        assert (await admin.get("/admin/alerts?open=false")).json()["items"] == []
        me = (await admin.get("/auth/me")).json()["id"]
        answers = [await admin.post("/admin/alerts/alert/acknowledge") for _ in range(2)]
        assert [answer.json()["acknowledged_by"] for answer in answers] == [me, me]
        records = await service.world.store.read(
            lambda snapshot: snapshot.audit_trail.newest(
                AuditFilter(action=AuditAction.ALERT_ACKNOWLEDGED), after=None, limit=9
            )
        )
        assert [(record.subject_id, record.actor) for record in records] == [("alert", me)]
        assert (await admin.post("/admin/alerts/none/acknowledge")).status_code == 404
        assert (await admin.get("/admin/alerts?kind=nonsense")).status_code == 422


async def test_live_figures_count_replies_and_errors() -> None:
    async with api() as service:
        alice, viewer = await service.person(), await client_of(service, UserRole.VIEWER)
        await alice.post("/chat/message", json=say("one two three"))
        await alice.post("/chat/message", json=say("no [[fail:before]]"))
        await service.settled()
        live = (await viewer.get("/monitoring/metrics")).json()
        mini = next(model for model in live["models"] if model["id"] == "demo-mini")
        assert (mini["status"], mini["replies"]) == ("ready", {"completed": 1, "failed": 1})
        assert live["requests"]["error_percent"] > 0
        assert (live["open_holds"], live["open_alerts"]) == (0, {})
        assert (await viewer.get("/monitoring/metrics?minutes=61")).status_code == 422


async def test_health_names_each_part() -> None:
    async with api() as service:
        viewer = await client_of(service, UserRole.VIEWER)
        health = (await viewer.get("/monitoring/health")).json()
        assert health["state"] == "ok"
        assert [part["name"] for part in health["parts"]] == ["database", "model demo-mini", "model demo-pro", "jobs"]
        await service.world.engine.close()
        health = (await viewer.get("/monitoring/health")).json()
        assert (health["state"], health["parts"][1]["reason"]) == ("down", "the service is stopping")


async def test_the_advice_for_a_full_batch_has_its_evidence() -> None:
    engine = ScriptedEngine(CATALOGUE, slots=1, max_queued=5)
    async with api(engine=engine) as service:
        alice, viewer = await service.person(), await client_of(service, UserRole.VIEWER)
        asking = [asyncio.create_task(alice.post("/chat/message", json=say("a [[sleep:0.3]]"))) for _ in range(3)]
        await eventually(lambda: engine.status()[next(iter(CATALOGUE))].queued == 2)
        sample = service.world.use_cases.monitoring.sample_models
        for _ in range(30):
            await sample()
        await asyncio.gather(*asking)
        (found,) = (await viewer.get("/performance/analysis")).json()["findings"]
        assert (found["code"], found["evidence"]["waited_s"], found["evidence"]["batch_size"]) == (
            "advice_queue",
            60,
            1,
        )
        assert "60 s of the last" in found["advice"]
        assert "CHATBILL_BATCH_SIZE" in found["advice"]


async def test_the_advice_for_replies_that_fail_names_the_error() -> None:
    async with api() as service:
        alice, viewer = await service.person(), await client_of(service, UserRole.VIEWER)
        for text in ("a", "b", "c", "d [[fail:before]]", "e"):
            await alice.post("/chat/message", json=say(text))
        await service.settled()
        (found,) = (await viewer.get("/performance/analysis")).json()["findings"]
        assert dict(found["evidence"]) == {
            "model": "demo-mini",
            "count": 1,
            "replies": 5,
            "error": "generation_failed",
        }


class Loaded(ScriptedEngine):
    """An engine whose models take 100 bytes until they give them up."""

    taken = 100

    async def free_memory(self) -> None:
        self.taken = 0


class Scales:
    """A machine that weighs the engine."""

    def __init__(self, engine: Loaded) -> None:
        self._engine = engine

    def read(self) -> MachineFigures:
        return MachineFigures(process_bytes=50 + self._engine.taken)


async def test_memory_is_freed_and_that_is_on_record() -> None:
    engine = Loaded(CATALOGUE)
    async with api(engine=engine, machine=Scales(engine)) as service:
        admin = await client_of(service, UserRole.ADMIN)
        answer = await admin.post("/performance/optimize/memory")
        assert answer.json() == {"before_bytes": 150, "after_bytes": 50}
        (record,) = await service.world.store.read(
            lambda snapshot: snapshot.audit_trail.newest(
                AuditFilter(action=AuditAction.MEMORY_FREED), after=None, limit=9
            )
        )
        assert (record.before, record.after) == ({"bytes": 150}, {"bytes": 50})


def test_an_engine_that_keeps_nothing_frees_nothing() -> None:
    engine: Engine = ScriptedEngine(CATALOGUE)
    assert not isinstance(engine, FreesMemory)
