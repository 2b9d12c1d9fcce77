"""The metrics on the port of the service and on their own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatbill.adapters.monitoring.prometheus import PrometheusMetrics
from chatbill.domain.accounts.users import UserRole
from chatbill.entrypoints.http import HttpConfig
from chatbill.entrypoints.web.metrics import MetricsPage, serving_metrics
from tests.kit.http import Api, api, say
from tests.kit.staff import client_of
from tests.kit.waiting import eventually

TOKEN = "a-token-of-prometheus"


class Counted:
    """An API whose metrics are read with a token."""

    def __init__(self, service: Api, metrics: PrometheusMetrics) -> None:
        self.service, self.metrics = service, metrics

    async def scrape(self, token: str = f"Bearer {TOKEN}") -> httpx.Response:
        return await self.service.client().get("/metrics", headers={"Authorization": token} if token else {})

    async def labels(self, name: str) -> list[dict[str, str]]:
        families = text_string_to_metric_families((await self.scrape()).text)
        return [sample.labels for family in families for sample in family.samples if sample.name == name]


@pytest.fixture
async def counted() -> AsyncIterator[Counted]:
    metrics = PrometheusMetrics()

    async def refresh() -> None:
        await running.world.use_cases.monitoring.read_figures()

    page = MetricsPage(refresh=refresh, render=metrics.rendered, token=TOKEN)
    async with api(HttpConfig(metrics=page), metrics=metrics) as running:
        yield Counted(running, metrics)


async def test_a_scrape_shows_requests_replies_and_models(counted: Counted) -> None:
    alice = await counted.service.person()
    await alice.post("/chat/message", json=say("Hello"))
    await counted.service.settled()
    answer = await counted.scrape()
    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'chatbill_requests_total{method="POST",route="/chat/message",status="2xx"} 1.0',
        'chatbill_replies_total{model="demo-mini",outcome="completed"} 1.0',
        'chatbill_model_available{model="demo-pro"} 1.0',
        'chatbill_holds{state="open"} 0.0',
        "chatbill_store_up 1.0",
    ):
        assert line in answer.text


@pytest.mark.parametrize("token", ["", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"])
async def test_the_metrics_need_the_token(counted: Counted, token: str) -> None:
    headers = [(b"authorization", token.encode("latin-1"))] if token else []
    refused = await counted.service.client().get("/metrics", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


async def test_neither_people_nor_two_headers_nor_api_keys_read_the_metrics(counted: Counted) -> None:
    admin = await client_of(counted.service, UserRole.ADMIN)
    assert (await admin.get("/metrics")).status_code == 401
    key = (await admin.post("/auth/api-keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    assert (await counted.scrape(f"Bearer {key}")).status_code == 401
    twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
    assert (await counted.service.client().get("/metrics", headers=twice)).status_code == 401


async def test_without_a_token_there_are_no_metrics_on_this_port() -> None:
    async with api() as service:
        assert (await service.client().get("/metrics")).status_code == 404


async def test_paths_methods_and_models_of_clients_make_no_new_series(counted: Counted) -> None:
    alice = await counted.service.person()
    await counted.scrape()
    before = await counted.labels("chatbill_requests_total")
    for number in range(50):
        await alice.get(f"/nowhere/{number}")
        await alice.get(f"/chat/conversations/{number}")
        await alice.request(f"BREW{number}", "/health")
        await alice.post("/chat/message", json=say("Hello", model=f"model-{number}"))
    found = await counted.labels("chatbill_requests_total")
    assert len(found) <= len(before) + 6
    assert {each["route"] for each in found} >= {"unmatched", "/chat/conversations/{conversation_id}"}
    assert {each["method"] for each in found} <= {"GET", "POST", "other"}
    assert await counted.labels("chatbill_replies_total") == []


async def test_the_port_of_the_metrics_answers_scrapes_and_nothing_else() -> None:
    metrics = PrometheusMetrics(version="1.2.3")

    async def refresh() -> None:
        return

    page = MetricsPage(refresh=refresh, render=metrics.rendered)
    sock = socket.create_server(("127.0.0.1", 0))
    with sock:
        async with serving_metrics(page, sock), httpx.AsyncClient() as client:
            base = f"http://127.0.0.1:{sock.getsockname()[1]}"

            async def answers() -> bool:
                try:
                    return (await client.get(f"{base}/metrics")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers)
            assert 'chatbill_info{version="1.2.3"} 1.0' in (await client.get(f"{base}/metrics")).text
            assert (await client.head(f"{base}/metrics")).text == ""
            assert (await client.post(f"{base}/metrics")).status_code == 405
            assert (await client.get(f"{base}/chat/models")).status_code == 404
