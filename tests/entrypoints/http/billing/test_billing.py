"""Billing over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import pytest

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from chatbill.application.ports.payments import Checkout
from chatbill.application.ports.rate_limits import Limit
from chatbill.domain.billing.payments import Payment
from tests.kit.http import Api, api, say


async def test_the_balance_has_owned_held_and_available_credits(service: Api, alice: httpx.AsyncClient) -> None:
    assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}


async def test_packages_have_a_price(alice: httpx.AsyncClient) -> None:
    price = {"amount": "1.00", "currency": "EUR"}
    expected = [{"id": "small", "credits": 100, "bonus": 0, "price": price}]
    assert (await alice.get("/billing/packages")).json() == expected


async def test_a_package_or_an_amount_adds_credits(alice: httpx.AsyncClient) -> None:
    package = await alice.post("/billing/add", json={"package": "small"})
    amount = await alice.post("/billing/add", json={"amount": 5})
    assert (package.status_code, amount.status_code) == (201, 201)
    assert (package.json()["credits_added"], package.json()["balance"]) == (100, 200)
    assert (amount.json()["credits_added"], amount.json()["balance"]) == (5, 205)
    assert package.json()["status"] == "confirmed"


async def test_the_same_key_adds_once(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    first, second = [await alice.post("/billing/add", json={"amount": 5}, headers=key) for _ in range(2)]
    other = await alice.post("/billing/add", json={"amount": 6}, headers=key)
    assert first.json() == second.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert (await alice.get("/billing/balance")).json()["balance"] == 105


@dataclass
class _HostedPage:
    """A payment provider with a page of its own."""

    name = "hosted"

    async def collect(self, payment: Payment) -> Checkout:
        return Checkout(url=f"https://pay.example.org/{payment.id}")


async def test_a_hosted_provider_returns_the_address_of_its_page() -> None:
    async with api(provider=_HostedPage()) as service:
        alice = await service.person()
        response = await alice.post("/billing/add", json={"package": "small"})
        receipt = response.json()
        assert (response.status_code, receipt["status"]) == (202, "pending")
        assert receipt["checkout_url"] == f"https://pay.example.org/{receipt['payment_id']}"
        assert (receipt["credits_added"], receipt["balance"]) == (0, 100)


async def test_transactions_list_every_movement_newest_first(alice: httpx.AsyncClient) -> None:
    reply = (await alice.post("/chat/message", json=say("hello"))).json()
    await alice.post("/billing/add", json={"amount": 5})
    items = (await alice.get("/billing/transactions")).json()["items"]
    assert [(item["kind"], item["amount"], item["balance_after"]) for item in items] == [
        ("top_up", 5, 104),
        ("charge", -1, 99),
        ("grant", 100, 100),
    ]
    assert items[1]["interaction_id"] == reply["id"]
    assert items[0]["created_at"] == "2026-01-01T00:00:00Z"
    charges = (await alice.get("/billing/transactions", params={"kind": "charge"})).json()["items"]
    assert [item["id"] for item in charges] == [items[1]["id"]]


async def test_transactions_come_in_pages(alice: httpx.AsyncClient) -> None:
    for _ in range(4):
        await alice.post("/billing/add", json={"amount": 1})
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await alice.get("/billing/transactions", params=params)).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found)) == 5


async def test_the_packages_say_that_the_provider_is_a_sandbox(alice: httpx.AsyncClient) -> None:
    assert (await alice.get("/billing/packages")).headers["X-Chatbill-Payments"] == "sandbox"


@pytest.mark.parametrize("order", [{"package": "small"}, {"amount": 5}])
async def test_without_a_provider_a_purchase_is_refused_and_the_answer_says_who_adds_credits(
    order: dict[str, object],
) -> None:
    async with api(sells=False) as service:
        alice = await service.person()
        packages = await alice.get("/billing/packages")
        assert (packages.json(), packages.headers["X-Chatbill-Payments"]) == ([], "none")
        refused = await alice.post("/billing/add", json=order)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert "An administrator adds them" in refused.json()["detail"]
        assert (await alice.get("/billing/balance")).json()["balance"] == 100


async def test_the_openapi_document_describes_how_payments_are_announced(service: Api) -> None:
    document = (await service.client().get("/docs/openapi.json")).json()
    answer = document["paths"]["/billing/packages"]["get"]["responses"]["200"]
    assert "X-Chatbill-Payments" in answer["description"]


async def test_too_many_purchases_are_answered_with_the_time_to_wait() -> None:
    limit = Limit(name="top-ups", times=2, window_s=60)
    async with api(rate_limits=MovingWindowRateLimits(), top_ups=limit) as service:
        alice = await service.person()
        statuses = [(await alice.post("/billing/add", json={"amount": 1})).status_code for _ in range(2)]
        refused = await alice.post("/billing/add", json={"amount": 1})
        assert (statuses, refused.status_code, refused.json()["code"]) == ([201, 201], 429, "rate_limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
