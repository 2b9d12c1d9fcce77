"""Messages over HTTP, answered with the whole reply."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from tests.kit.engines import ControlledEngine
from tests.kit.http import Api, api, say, stream
from tests.kit.support import CATALOGUE, MINI, PRO
from tests.kit.waiting import eventually


async def test_a_reply_comes_with_its_cost_and_the_balance_after_it(alice: httpx.AsyncClient) -> None:
    response = await alice.post("/chat/message", json=say("good morning"))
    assert response.status_code == 200
    reply = response.json()
    assert reply.pop("id")
    assert reply.pop("conversation_id")
    assert reply.pop("first_token_ms") >= 0
    assert reply == {
        "parent_id": None,
        "model": "demo-mini",
        "reply": "good morning",
        "outcome": "completed",
        "usage": {"prompt_tokens": 2, "completion_tokens": 2},
        "context": {"tokens": 2, "limit": 2_048, "dropped_turns": 0},
        "credits_charged": 1,
        "balance": 99,
        "processing_time_ms": 0,
        "error_code": None,
        "error_detail": None,
        "cached": False,
    }
    second = await alice.post("/chat/message", json=say("and to you", model=PRO))
    assert (second.json()["credits_charged"], second.json()["balance"]) == (3, 96)


async def test_a_reply_says_when_its_first_token_came() -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as service:
        alice = await service.person()
        asking = asyncio.create_task(alice.post("/chat/message", json=say("hello"), headers={"Idempotency-Key": "key"}))
        await eventually(lambda: bool(engine.generations))
        began = time.monotonic()
        await asyncio.sleep(0.05)
        engine.last.say("Good")
        took_ms = (time.monotonic() - began) * 1_000
        await asyncio.sleep(0.3)
        engine.last.end()
        reply = (await asking).json()
        again = (await alice.post("/chat/message", json=say("hello"), headers={"Idempotency-Key": "key"})).json()
    whole_ms = (time.monotonic() - began) * 1_000

    assert 50 <= reply["first_token_ms"] < whole_ms - 300 + took_ms
    assert again == reply


async def test_a_cached_reply_is_marked_in_reply_stream_and_history() -> None:
    engine = CachingEngine(
        ScriptedEngine(CATALOGUE), ReplyCache(max_bytes=100_000, ttl_s=60), temperatures={}, identities={}
    )
    async with api(engine=engine, cached_price_percent=0) as service:
        alice, bob = await service.person(), await service.person("bob")
        body = say("one two", temperature=0)
        fresh, repeated = [(await alice.post("/chat/message", json=body)).json() for _ in range(2)]
        async with stream(alice, body) as events:
            streamed = [event async for event in events]
        other = (await bob.post("/chat/message", json=body)).json()
        history = (await alice.get("/chat/history")).json()["items"]

    assert [(reply["cached"], reply["credits_charged"], reply["balance"]) for reply in (fresh, repeated)] == [
        (False, 1, 99),
        (True, 0, 99),
    ]
    assert (repeated["reply"], repeated["usage"]) == (fresh["reply"], fresh["usage"])
    assert [name for name, _ in streamed] == ["accepted", "delta", "delta", "done"]
    assert streamed[-1][1]["cached"] is True
    assert [item["cached"] for item in history] == [True, True, False]
    assert other["cached"] is False


async def test_a_conversation_is_continued(alice: httpx.AsyncClient) -> None:
    first = (await alice.post("/chat/message", json=say("one two"))).json()
    second = (await alice.post("/chat/message", json=say("three", conversation_id=first["conversation_id"]))).json()
    assert second["conversation_id"] == first["conversation_id"]
    assert second["usage"]["prompt_tokens"] == 5


async def test_a_reply_is_written_again_by_another_model_as_a_branch(alice: httpx.AsyncClient) -> None:
    first = (await alice.post("/chat/message", json=say("one two"))).json()
    talk = first["conversation_id"]
    second = (await alice.post("/chat/message", json=say("three", conversation_id=talk))).json()
    again = await alice.post(f"/chat/interactions/{second['id']}/regenerate", json={"model": PRO})
    same = await alice.post(f"/chat/interactions/{second['id']}/regenerate")
    root = await alice.post("/chat/message", json=say("anew", conversation_id=talk, parent_id=talk))

    assert (again.status_code, same.status_code, root.status_code) == (200, 200, 200)
    assert [again.json()[name] for name in ("model", "parent_id", "credits_charged")] == [PRO, first["id"], 3]
    assert (same.json()["model"], same.json()["parent_id"]) == (MINI, first["id"])
    thread = (await alice.get(f"/chat/conversations/{talk}")).json()
    assert [each["parent_id"] for each in thread["messages"]] == [None, *[first["id"]] * 3, None]
    streamed = await alice.post(
        f"/chat/interactions/{second['id']}/regenerate", headers={"Accept": "text/event-stream"}
    )
    assert "event: done" in streamed.text
    refused = await alice.post(f"/chat/interactions/{second['id']}/regenerate", json={"model": "none"})
    assert refused.status_code in {400, 422}
    assert (await alice.post("/chat/interactions/none/regenerate")).status_code == 404


async def test_a_quote_is_what_the_message_would_hold(alice: httpx.AsyncClient) -> None:
    quote = await alice.post("/chat/quote", json=say("good morning", model=PRO))
    assert quote.json() == {
        "held_at_most": 3,
        "expected": 3,
        "available": 100,
        "context": {"tokens": 2, "limit": 2_048, "dropped_turns": 0},
        "counted": True,
    }
    assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}
    assert (await alice.post("/chat/quote", json=say(" "))).status_code in {400, 422}


async def test_conversations_are_found_by_their_words(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    for text in ("the fox", "the owl"):
        await alice.post("/chat/message", json=say(text))
    found = (await alice.get("/chat/conversations", params={"q": "FOX"})).json()["items"]
    assert [each["title"] for each in found] == ["the fox"]
    assert (await bob.get("/chat/conversations", params={"q": "fox"})).json()["items"] == []
    assert (await alice.get("/chat/conversations", params={"q": "x" * 201})).status_code in {400, 422}


@pytest.mark.parametrize(
    ("directive", "status", "code", "outcome"),
    [
        ("[[fail:before]]", 502, "generation_failed", "failed"),
        ("[[fail:after:3]]", 502, "generation_failed", "failed"),
        ("[[oom]]", 502, "generation_failed", "failed"),
        ("[[sleep:9]]", 504, "generation_timeout", "timed_out"),
    ],
)
async def test_a_failed_reply_costs_nothing_and_is_recorded(
    directive: str, status: int, code: str, outcome: str
) -> None:
    async with api(deadline_s=1) as service:
        alice = await service.person()
        response = await alice.post("/chat/message", json=say(f"a b c d {directive}"))
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["credits_charged"] == 0
        [item] = (await alice.get("/chat/history")).json()["items"]
        assert (item["id"], item["outcome"]) == (response.json()["interaction_id"], outcome)
        assert item["error_code"] == code
        assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}


async def test_a_stop_ends_the_reply_with_the_text_so_far(service: Api, alice: httpx.AsyncClient) -> None:
    sending = asyncio.create_task(alice.post("/chat/message", json=say("a b [[tokens:100]] [[pause:0.05]]")))
    await eventually(lambda: len(service.world.use_cases.chat.replies) == 1)
    await asyncio.sleep(0.15)
    [item] = (await alice.get("/chat/history")).json()["items"]
    assert item["outcome"] == "running"
    stopped = await alice.post(f"/chat/interactions/{item['id']}/stop")
    assert (stopped.status_code, stopped.json()) == (202, {"id": item["id"], "status": "stopping"})
    reply = await sending
    assert (reply.status_code, reply.json()["outcome"]) == (200, "stopped")
    assert reply.json()["credits_charged"] == 1
    assert 1 <= reply.json()["usage"]["completion_tokens"] < 100
    again = await alice.post(f"/chat/interactions/{item['id']}/stop")
    assert again.status_code == 202


async def test_too_few_credits_are_reported_with_their_figures() -> None:
    async with api(welcome_credits=2) as service:
        alice = await service.person()
        response = await alice.post("/chat/message", json=say("hello", model=PRO))
        problem = response.json()
        assert (response.status_code, problem["code"]) == (402, "insufficient_credits")
        assert (problem["required"], problem["available"]) == (3, 2)


async def test_a_reply_of_a_slow_model_is_cut_off_and_charged(service: Api, alice: httpx.AsyncClient) -> None:
    for _ in range(3):
        service.world.use_cases.chat.send_message.drafts.paces[MINI].record(tokens=20, took_s=5)
    reply = (await alice.post("/chat/message", json=say("[[tokens:300]]"))).json()
    assert (reply["outcome"], reply["usage"]["completion_tokens"], reply["credits_charged"]) == ("completed", 16, 1)
    completion = {"model": MINI, "messages": [{"role": "user", "content": "[[tokens:300]]"}]}
    openai = (await alice.post("/v1/chat/completions", json=completion)).json()

    assert openai["choices"][0]["finish_reason"] == "length"


async def test_a_full_queue_is_answered_with_retry_after() -> None:
    engine = ScriptedEngine(CATALOGUE, slots=1)
    async with api(engine=engine) as service:
        alice = await service.person()
        await engine.prepare(GenerationRequest(model=MINI, turns=(Turn(Role.USER, "Hi"),), max_tokens=1))
        response = await alice.post("/chat/message", json=say("hello"))
        assert (response.status_code, response.json()["code"]) == (503, "overloaded")
        assert response.headers["retry-after"] == "1"


async def test_a_model_of_a_closed_engine_is_unavailable(service: Api, alice: httpx.AsyncClient) -> None:
    await service.world.engine.close()
    response = await alice.post("/chat/message", json=say("hello"))
    assert (response.status_code, response.json()["code"]) == (503, "model_unavailable")
    models = (await alice.get("/chat/models")).json()
    assert [(model["available"], model["reason"]) for model in models] == [(False, "the service is stopping")] * 2


async def test_models_show_their_prices(alice: httpx.AsyncClient) -> None:
    mini, pro = (await alice.get("/chat/models")).json()
    assert (mini["id"], mini["tier"], mini["price"]["per_reply"]) == ("demo-mini", "mini", 1)
    assert (pro["id"], pro["tier"], pro["price"]["per_reply"]) == ("demo-pro", "pro", 3)
    assert (mini["available"], mini["reason"]) == (True, None)


async def test_the_status_names_engine_queue_and_models(alice: httpx.AsyncClient) -> None:
    status = (await alice.get("/chat/status")).json()
    assert status["engine"] == "none"
    assert status["queue"] == {"running": 0, "queued": 0}
    assert [model["state"] for model in status["models"]] == ["ready", "ready"]


async def test_the_same_key_and_message_get_the_first_reply_and_one_charge(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await alice.post("/chat/message", json=say("hello"), headers=key)
    second = await alice.post("/chat/message", json=say("hello"), headers=key)
    assert first.json() == second.json()
    streamed = await alice.post("/chat/message", json=say("hello"), headers=key | {"Accept": "text/event-stream"})
    assert first.json()["id"] in streamed.text
    assert (await alice.get("/billing/balance")).json()["balance"] == 99


async def test_the_same_key_with_another_message_is_rejected(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    await alice.post("/chat/message", json=say("hello"), headers=key)
    response = await alice.post("/chat/message", json=say("goodbye"), headers=key)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_mismatch")


async def test_the_same_key_while_the_first_runs_is_a_conflict(service: Api, alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = say("hello [[sleep:0.2]]")
    first = asyncio.create_task(alice.post("/chat/message", json=body, headers=key))
    await eventually(lambda: len(service.world.use_cases.chat.replies) == 1)
    second = await alice.post("/chat/message", json=body, headers=key)
    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert (await first).status_code == 200


async def test_the_key_of_an_interrupted_reply_has_a_final_answer_and_a_new_key_tries_again(
    service: Api, alice: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = say("hello [[sleep:0.5]]")
    first = asyncio.create_task(alice.post("/chat/message", json=body, headers=key))
    await eventually(lambda: len(service.world.use_cases.chat.replies) == 1)
    await service.world.use_cases.maintenance.expire_holds(even_early=True)
    assert (await first).status_code == 503
    async with stream(alice, body, **key) as events:
        last = [event async for event in events][-1]
    assert (last[0], last[1]["code"], last[1]["status"]) == ("error", "request_interrupted", 410)
    for _ in range(2):
        again = await alice.post("/chat/message", json=body, headers=key)
        assert (again.status_code, again.json()["code"]) == (410, "request_interrupted")
        assert "new key" in again.json()["detail"]
        assert "Retry-After" not in again.headers
    new = await alice.post("/chat/message", json=body, headers={"Idempotency-Key": "k-2"})
    assert (new.status_code, new.json()["balance"]) == (200, 99)


async def test_a_failed_reply_is_replayed_as_the_same_problem(alice: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first, second = [await alice.post("/chat/message", json=say("[[oom]]"), headers=key) for _ in range(2)]
    assert first.status_code == second.status_code == 502
    assert first.json()["interaction_id"] == second.json()["interaction_id"]


async def test_data_of_another_user_is_not_found(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    reply = (await alice.post("/chat/message", json=say("a secret"))).json()
    conversation = f"/chat/conversations/{reply['conversation_id']}"
    answers = [
        await bob.get(conversation),
        await bob.patch(conversation, json={"title": "mine"}),
        await bob.delete(conversation),
        await bob.post(f"/chat/interactions/{reply['id']}/stop"),
        await bob.post(f"/chat/interactions/{reply['id']}/regenerate"),
        await bob.post("/chat/message", json=say("go on", conversation_id=reply["conversation_id"])),
        await bob.post("/chat/quote", json=say("go on", conversation_id=reply["conversation_id"])),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 7
    for path in ("/chat/history", "/chat/conversations", "/chat/conversations?q=secret"):
        assert (await bob.get(path)).json()["items"] == []
    for path in ("/chat/history/export", "/auth/export"):
        assert "a secret" not in (await bob.get(path)).text
    assert (await bob.get("/billing/balance")).json()["balance"] == 100
