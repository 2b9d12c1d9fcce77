"""Charges of a running service, and the verification of its ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.process import Service, events


async def send(client: httpx.AsyncClient, message: str, model: str = "demo-mini", **more: Any) -> httpx.Response:
    return await client.post("/chat/message", json={"model": model, "message": message, **more})


async def test_a_repeated_message_is_answered_from_the_cache_and_marked(service: Service) -> None:
    async with service.client(await service.person("again")) as client:
        first, second = [(await send(client, "the same again", temperature=0)).json() for _ in range(2)]
        sampled = [(await send(client, "the same again")).json()["cached"] for _ in range(2)]
    assert (first["cached"], second["cached"], sampled) == (False, True, [False, False])
    assert (first["reply"], second["reply"]) == ("the same again", "the same again")
    assert (second["usage"], second["credits_charged"]) == (first["usage"], first["credits_charged"])
    assert service.verify()["agrees"]


async def test_the_balance_of_a_new_user_goes_from_100_to_99_to_96(service: Service) -> None:
    async with service.client(await service.person("newcomer")) as client:
        assert (await client.get("/auth/me")).json()["balance"] == 100
        mini = (await send(client, "good day to you")).json()
        assert (mini["reply"], mini["outcome"], mini["credits_charged"], mini["balance"]) == (
            "good day to you",
            "completed",
            1,
            99,
        )
        pro = (await send(client, "again", model="demo-pro", conversation_id=mini["conversation_id"])).json()
        assert (pro["credits_charged"], pro["balance"]) == (3, 96)
        assert (await client.get("/billing/balance")).json() == {"balance": 96, "held": 0, "available": 96}
        transactions = (await client.get("/billing/transactions")).json()["items"]
        assert [(item["kind"], item["amount"], item["balance_after"]) for item in transactions] == [
            ("charge", -3, 96),
            ("charge", -1, 99),
            ("grant", 100, 100),
        ]
        history = (await client.get("/chat/history")).json()["items"]
        assert [(item["model"], item["prompt"], item["credits_charged"]) for item in history] == [
            ("demo-pro", "again", 3),
            ("demo-mini", "good day to you", 1),
        ]
        assert [item["interaction_id"] for item in transactions[:2]] == [item["id"] for item in history]
    assert service.verify()["agrees"]


@pytest.mark.parametrize(
    ("directive", "status", "code", "outcome"),
    [
        ("[[fail:before]]", 502, "generation_failed", "failed"),
        ("[[fail:after:3]]", 502, "generation_failed", "failed"),
        ("[[oom]]", 502, "generation_failed", "failed"),
    ],
)
async def test_a_failure_is_free_and_recorded(
    service: Service, directive: str, status: int, code: str, outcome: str
) -> None:
    name = "failing-" + "".join(filter(str.isalnum, directive))
    async with service.client(await service.person(name)) as client:
        failed = await send(client, f"one two three four {directive}")
        assert (failed.status_code, failed.json()["code"]) == (status, code)
        assert failed.headers["content-type"] == "application/problem+json"
        assert failed.json()["request_id"] == failed.headers["x-request-id"]
        assert (await client.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
        [item] = (await client.get("/chat/history")).json()["items"]
        assert (item["outcome"], item["credits_charged"]) == (outcome, 0)


async def test_a_passed_deadline_is_free_and_recorded(start: Callable[..., Service]) -> None:
    service = start(generation_timeout_s=0.5)
    async with service.client(await service.person()) as client:
        late = await send(client, "slow [[sleep:30]]")
        assert (late.status_code, late.json()["code"]) == (504, "generation_timeout")
        half = await send(client, "a b c [[pause:0.3]] [[tokens:50]]")
        assert half.status_code == 504
        history = (await client.get("/chat/history")).json()["items"]
        assert [(item["outcome"], item["credits_charged"]) for item in history] == [("timed_out", 0)] * 2
        assert (await client.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
    assert service.verify()["pending_holds"] == 0


async def test_fifty_messages_at_once_from_a_wallet_of_ten(start: Callable[..., Service]) -> None:
    service = start(welcome_credits=10)
    async with service.client(await service.person()) as client:
        answers = await asyncio.gather(*(send(client, f"hello {number} [[sleep:0.2]]") for number in range(50)))
        assert Counter(answer.status_code for answer in answers) == {200: 10, 402: 40}
        for answer in answers:
            if answer.status_code == 402:
                problem = answer.json()
                assert (problem["code"], problem["required"], problem["available"]) == ("insufficient_credits", 1, 0)
        assert (await client.get("/billing/balance")).json() == {"balance": 0, "held": 0, "available": 0}
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (10, 0)


async def streamed(
    client: httpx.AsyncClient, message: str, stop_after: int | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a message. The reply is stopped after `stop_after` deltas."""
    lines: list[str] = []
    headers = {"Accept": "text/event-stream"}
    body = {"model": "demo-mini", "message": message}
    async with client.stream("POST", "/chat/message", json=body, headers=headers) as response:
        assert response.status_code == 200
        stopped = False
        async for line in response.aiter_lines():
            lines.append(line)
            so_far = events(lines)
            deltas = sum(name == "delta" for name, _ in so_far)
            if stop_after is not None and so_far and deltas >= stop_after and not stopped:
                stopped = True
                stop = await client.post(f"/chat/interactions/{so_far[0][1]['id']}/stop")
                assert stop.status_code == 202
    return events(lines)


async def test_a_stream_has_accepted_then_deltas_then_done(service: Service) -> None:
    async with service.client(await service.person("streaming")) as client:
        seen = await streamed(client, "one two three")
        assert [name for name, _ in seen] == ["accepted", "delta", "delta", "delta", "done"]
        assert seen[0][1]["held"] == 1
        assert "".join(data["text"] for name, data in seen if name == "delta") == "one two three"
        done = seen[-1][1]
        assert (done["reply"], done["outcome"], done["credits_charged"], done["balance"]) == (
            "one two three",
            "completed",
            1,
            99,
        )


async def test_a_stop_before_the_first_token_is_free(service: Service) -> None:
    async with service.client(await service.person("stopping-early")) as client:
        seen = await streamed(client, "words [[sleep:20]]", stop_after=0)
        assert [name for name, _ in seen] == ["accepted", "done"]
        assert (seen[-1][1]["outcome"], seen[-1][1]["credits_charged"], seen[-1][1]["balance"]) == ("stopped", 0, 100)


async def test_a_stop_after_the_first_token_is_charged(service: Service) -> None:
    async with service.client(await service.person("stopping-late")) as client:
        seen = await streamed(client, "words [[pause:0.2]] [[tokens:100]]", stop_after=2)
        done = seen[-1][1]
        assert (done["outcome"], done["credits_charged"], done["balance"]) == ("stopped", 1, 99)
        assert 2 <= done["usage"]["completion_tokens"] <= 4
        assert done["reply"] == "".join(data["text"] for name, data in seen if name == "delta")


async def test_a_failure_in_a_stream_is_its_last_event(service: Service) -> None:
    async with service.client(await service.person("failing-stream")) as client:
        seen = await streamed(client, "one two three four [[fail:after:3]]")
        assert [name for name, _ in seen] == ["accepted", "delta", "delta", "delta", "error"]
        assert (seen[-1][1]["code"], seen[-1][1]["status"]) == ("generation_failed", 502)
        assert (await client.get("/billing/balance")).json()["balance"] == 100


async def test_the_same_key_charges_once_and_tops_up_once(service: Service) -> None:
    async with service.client(await service.person("repeating")) as client:
        key = {"Idempotency-Key": "once"}
        body = {"model": "demo-mini", "message": "hello"}
        first, again = [await client.post("/chat/message", json=body, headers=key) for _ in range(2)]
        assert first.json() == again.json()
        other = await client.post("/chat/message", json=body | {"message": "other"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
        buying = {"Idempotency-Key": "buy"}
        receipts = await asyncio.gather(
            *(client.post("/billing/add", json={"amount": 5}, headers=buying) for _ in range(10))
        )
        assert {receipt.status_code for receipt in receipts} == {201}
        assert len({receipt.json()["payment_id"] for receipt in receipts}) == 1
        assert (await client.get("/billing/balance")).json()["balance"] == 104
