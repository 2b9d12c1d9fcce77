"""Requests that are made from the API's own description, valid and invalid ones, cause no internal error anywhere.

Every operation is tried as an administrator, in a service of its own, because some end the session or the account.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from chatbill.application.accounts.register import Registration
from chatbill.domain.accounts.users import UserRole
from tests.kit.http import Api, api, say
from tests.kit.stores import STORES
from tests.kit.support import MINI, PASSWORD

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
EXAMPLES = 10
"""Requests of each kind to each operation."""


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_no_request_that_the_description_leads_to_causes_an_internal_error(
    mode: GenerationMode, store: str, tmp_path: Path
) -> None:
    with asyncio.Runner() as runner:
        tried = 0
        for found in schemathesis.openapi.from_dict(runner.run(description())).get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            if mode.is_positive or takes_something(operation):
                opened = STORES[store](tmp_path)
                context = api(store=opened)
                service = runner.run(context.__aenter__())
                try_operation(runner, service, operation, mode)
                runner.run(context.__aexit__(None, None, None))
                runner.run(opened.close())
                tried += 1
    assert tried > 50


def takes_something(operation: Any) -> bool:
    """Return whether there is anything in a request to this operation that could be wrong."""
    return bool(operation.body or operation.query or operation.path_parameters)


def try_operation(runner: asyncio.Runner, service: Api, operation: Any, mode: GenerationMode) -> None:
    """Send requests to this operation, some with ids of rows that exist."""
    admin, ids = runner.run(scene(service))
    known = {name: ids[name] for name in (each.name for each in operation.path_parameters) if name in ids}
    with_ids = st.booleans() if known else st.just(value=False)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), exists=with_ids)
    def check(case: Any, exists: bool) -> None:
        if exists:
            case.path_parameters = dict(case.path_parameters or {}) | known
        response = runner.run(sent(admin, case))
        assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"

    check()


async def description() -> dict[str, Any]:
    """Return what the API says about itself."""
    async with api() as running:
        return dict((await running.client().get("/docs/openapi.json")).json())


async def scene(service: Api) -> tuple[httpx.AsyncClient, dict[str, str]]:
    """Return a client of an administrator, and the ids of rows that exist, by the names of path parameters."""
    alice = await service.person()
    reply = (await alice.post("/chat/message", json=say("one two"))).json()
    registration = Registration(username="boss", email="boss@example.org", password=PASSWORD, role=UserRole.ADMIN)
    await service.world.use_cases.accounts.register(registration)
    admin = service.client(timeout=30)
    signed_in = await admin.post("/auth/login", json={"username": "boss", "password": PASSWORD})
    admin.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
    key = (await admin.post("/auth/api-keys", json={"name": "key"})).json()
    code = (await admin.post("/admin/codes", json={"credits": 5, "reason": "A test"})).json()
    own = (await admin.post("/chat/message", json=say("three"))).json()
    ids = {
        "user_id": (await alice.get("/auth/me")).json()["id"],
        "interaction_id": reply["id"],
        "conversation_id": own["conversation_id"],
        "session_id": (await admin.get("/auth/sessions")).json()[0]["id"],
        "key_id": key["id"],
        "code_id": code["id"],
        "model": MINI,
    }
    return admin, ids


async def sent(client: httpx.AsyncClient, case: Any) -> httpx.Response:
    """Send the case as `requests` would, which Schemathesis writes for, through this event loop."""
    kwargs = case.as_transport_kwargs(base_url="http://test")
    for name in ("allow_redirects", "timeout", "verify", "cert"):
        kwargs.pop(name, None)
    prepared: Any = requests.Request(**kwargs).prepare()
    headers = {name: value for name, value in prepared.headers.items() if name.lower() != "authorization"}
    return await client.request(prepared.method, prepared.url, content=prepared.body or b"", headers=headers)
