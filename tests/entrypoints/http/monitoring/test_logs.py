"""The log over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from chatbill.domain.accounts.users import UserRole
from chatbill.logs import LogBuffer, set_up_logs
from tests.kit.http import api, say
from tests.kit.staff import client_of


@pytest.fixture
def logs() -> Iterator[LogBuffer]:
    """Return the buffer of the logs, and restore the configuration afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield set_up_logs(log_format="json")
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_an_administrator_finds_a_request_by_its_id_without_any_text_of_people(logs: LogBuffer) -> None:
    async with api(logs=logs) as service:
        alice, admin = await service.person(), await client_of(service, UserRole.ADMIN)
        sent = await alice.post(
            "/chat/message", json=say("my secret words [[fail:before]]"), headers={"X-Request-Id": "seen-by-alice"}
        )
        assert sent.status_code == 502
        found = (await admin.get("/admin/logs", params={"q": "seen-by-alice"})).json()["items"]
        assert [each["event"] for each in found] == ["request", "reply_failed"]
        request, failed = (each["facts"] for each in found)
        assert (request["route"], request["status"], request["outcome"]) == ("/chat/message", 502, "failed")
        assert (request["model"], request["address"]) == ("demo-mini", "127.0.0.1")
        assert failed["interaction_id"] == request["interaction_id"]
        assert failed["error_type"] == "GenerationFailed"
        everything = (await admin.get("/admin/logs?limit=1000")).text
        assert "secret words" not in everything
        assert alice.headers["Authorization"].removeprefix("Bearer ") not in everything


async def test_an_unknown_path_is_no_route_and_its_secrets_are_not_shown(logs: LogBuffer) -> None:
    key = f"cb_019b0a6c-1f2e-7c3d-8a4b-5c6d7e8f9a0b_{'x' * 43}"
    async with api(logs=logs) as service:
        admin = await client_of(service, UserRole.ADMIN)
        await service.client().get(f"/nowhere/{key}")
        answer = await admin.get("/admin/logs?q=nowhere")
        (found,) = answer.json()["items"]
        assert (found["facts"]["route"], found["facts"]["status"]) == ("unmatched", 404)
        assert "x" * 43 not in answer.text


async def test_an_api_key_reads_no_log() -> None:
    async with api() as service:
        admin = await client_of(service, UserRole.ADMIN)
        made = await admin.post("/auth/api-keys", json={"name": "all", "scopes": ["account", "read", "chat"]})
        program = service.client(headers={"Authorization": f"Bearer {made.json()['key']}"})
        assert (await program.get("/admin/logs")).status_code == 403
