"""Replies as server-sent events, over a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest

from chatbill.entrypoints.http import HttpConfig
from tests.kit.engines import ControlledEngine
from tests.kit.http import api, events_of, say, served, stream
from tests.kit.support import CATALOGUE
from tests.kit.waiting import eventually

STREAM = {"Accept": "text/event-stream"}


async def test_events_come_in_order_and_end_with_the_whole_reply() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("one two three")) as events:
            names_and_data = [event async for event in events]
        names = [name for name, _ in names_and_data]
        assert names == ["accepted", "delta", "delta", "delta", "done"]
        accepted, done = names_and_data[0][1], names_and_data[-1][1]
        assert accepted == {"id": done["id"], "conversation_id": done["conversation_id"], "held": 1}
        assert "".join(data["text"] for name, data in names_and_data if name == "delta") == done["reply"]
        assert done["reply"] == "one two three"
        assert (done["outcome"], done["credits_charged"], done["balance"]) == ("completed", 1, 99)
        assert (await alice.get("/billing/balance")).json()["balance"] == 99


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/chat/message", say("Hello")),
        (
            "/v1/chat/completions",
            {"model": "demo-mini", "stream": True, "messages": [{"role": "user", "content": "Hello"}]},
        ),
    ],
)
async def test_a_stream_survives_invalid_text_of_an_engine(address: str, body: dict[str, Any]) -> None:
    engine = ControlledEngine(CATALOGUE)
    async with api(engine=engine) as service:
        alice = await service.person()
        asking = asyncio.create_task(alice.post(address, json=body, headers=STREAM))
        await eventually(lambda: bool(engine.generations))
        for text in ("a\ud800", "\ude00b", "c\x00"):
            engine.last.say(text)
        engine.last.end()
        response = await asking
        [stored] = (await alice.get("/chat/history")).json()["items"]

    events = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"] if "choices" in event else event for event in events]
    text = "".join(delta.get("text") or delta.get("content") or "" for delta in deltas)
    assert text == stored["reply"] == "a\ufffd\ufffdbc\ufffd"
    assert "internal_error" not in response.text


async def test_each_delta_comes_as_it_is_written() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("a b [[pause:0.2]]")) as events:
            assert (await anext(events))[0] == "accepted"
            assert (await anext(events)) == ("delta", {"text": "a"})
            assert len(service.world.use_cases.chat.replies) == 1
            assert (await anext(events)) == ("delta", {"text": " b"})


async def test_proxies_are_told_not_to_buffer_events() -> None:
    async with served() as service:
        alice = await service.person()
        response = await alice.post("/chat/message", json=say("hello"), headers=STREAM)
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        assert "content-length" not in response.headers


async def test_a_stream_without_events_sends_pings() -> None:
    async with served(HttpConfig(ping_s=0.05)) as service:
        alice = await service.person()
        response = await alice.post("/chat/message", json=say("hello [[sleep:0.2]]"), headers=STREAM)
        assert ": still here\n\n" in response.text
        names = [name async for name, _ in events_of(response)]
        assert names == ["accepted", "delta", "done"]


@pytest.mark.parametrize(
    ("directive", "deltas", "code", "status"),
    [
        ("[[fail:before]]", 0, "generation_failed", 502),
        ("[[fail:after:3]]", 3, "generation_failed", 502),
        ("[[oom]]", 0, "generation_failed", 502),
        ("[[sleep:9]]", 0, "generation_timeout", 504),
    ],
)
async def test_a_failure_after_acceptance_is_the_last_event(
    directive: str, deltas: int, code: str, status: int
) -> None:
    async with served(deadline_s=1) as service:
        alice = await service.person()
        async with stream(alice, say(f"a b c d {directive}")) as events:
            everything = [event async for event in events]
        assert [name for name, _ in everything] == ["accepted", *["delta"] * deltas, "error"]
        problem = everything[-1][1]
        assert (problem["code"], problem["status"], problem["credits_charged"]) == (code, status, 0)
        assert problem["interaction_id"] == everything[0][1]["id"]
        assert problem["request_id"]
        assert (await alice.get("/billing/balance")).json() == {"balance": 100, "held": 0, "available": 100}


@pytest.mark.parametrize(
    ("path", "directive", "status"),
    [
        ("/chat/message", "[[fail:after:2]]", 502),
        ("/chat/message", "[[sleep:9]]", 504),
        ("/chat/message", "", 200),
        ("/v1/chat/completions", "[[fail:after:2]]", 502),
    ],
)
async def test_the_log_has_the_status_with_which_a_stream_ended(
    path: str, directive: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    text = f"a b c {directive}"
    body = say(text)
    if path.startswith("/v1"):
        body = {"model": "demo-mini", "stream": True, "messages": [{"role": "user", "content": text}]}
    async with served(deadline_s=1) as service:
        alice = await service.person()
        assert (await alice.post(path, json=body, headers=STREAM)).status_code == 200
        (line,) = [vars(each) for each in caplog.records if vars(each).get("route") == path]
    assert line["status"] == status
    assert (line["model"], line["outcome"]) == (
        "demo-mini",
        {502: "failed", 504: "timed_out", 200: "completed"}[status],
    )


async def test_a_stream_that_its_client_left_is_no_success_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("a [[tokens:500]] [[pause:0.05]]")) as events:
            await anext(events)
            await anext(events)

        def lines() -> list[dict[str, Any]]:
            return [vars(each) for each in caplog.records if vars(each).get("route") == "/chat/message"]

        await eventually(lambda: len(lines()) == 1)
        assert lines()[0]["status"] == 499


async def test_an_error_before_acceptance_is_a_plain_problem() -> None:
    async with served(welcome_credits=0) as service:
        alice = await service.person()
        broke = await alice.post("/chat/message", json=say("hello"), headers=STREAM)
        wrong = await alice.post("/chat/message", json=say("hello", model="nope"), headers=STREAM)
        for response, status in ((broke, 402), (wrong, 422)):
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"


async def test_a_stopped_stream_ends_with_done() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("a [[tokens:200]] [[pause:0.05]]")) as events:
            _, accepted = await anext(events)
            await anext(events)
            assert (await alice.post(f"/chat/interactions/{accepted['id']}/stop")).status_code == 202
            rest = [event async for event in events]
        name, done = rest[-1]
        assert (name, done["outcome"], done["credits_charged"]) == ("done", "stopped", 1)
        assert done["usage"]["completion_tokens"] < 200
        assert service.world.engine.status()[done["model"]].running == 0


async def test_a_stop_before_the_first_token_is_free() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("a [[sleep:4]]")) as events:
            _, accepted = await anext(events)
            await alice.post(f"/chat/interactions/{accepted['id']}/stop")
            [(name, done)] = [event async for event in events]
        assert (name, done["outcome"], done["credits_charged"], done["balance"]) == ("done", "stopped", 0, 100)


async def test_a_repeated_request_streams_the_first_reply_again() -> None:
    async with served() as service:
        alice = await service.person()
        answers = []
        for _ in range(2):
            async with stream(alice, say("one two"), **{"Idempotency-Key": "k"}) as events:
                answers.append([event async for event in events])
        assert answers[0][-1] == answers[1][-1]
        assert [name for name, _ in answers[1]] == ["accepted", "delta", "done"]


async def test_fifty_messages_at_once_from_a_wallet_of_ten_credits() -> None:
    async with served(welcome_credits=10) as service:
        alice = await service.person()
        limits = httpx.Limits(max_connections=50)
        many = service.client(headers={"Authorization": alice.headers["Authorization"]}, limits=limits, timeout=30)
        message = say("hello [[sleep:0.5]]")
        answers = await asyncio.gather(*(many.post("/chat/message", json=message) for _ in range(50)))
        refused = [answer.json() for answer in answers if answer.status_code == 402]
        assert sorted(answer.status_code for answer in answers) == [200] * 10 + [402] * 40
        assert {(problem["required"], problem["available"]) for problem in refused} == {(1, 0)}
        assert (await alice.get("/billing/balance")).json() == {"balance": 0, "held": 0, "available": 0}


async def test_fifty_requests_with_one_key_are_one_reply_and_one_charge() -> None:
    async with served() as service:
        alice = await service.person()
        headers = {"Authorization": alice.headers["Authorization"], "Idempotency-Key": "once"}
        many = service.client(headers=headers, limits=httpx.Limits(max_connections=50), timeout=30)
        answers = await asyncio.gather(*(many.post("/chat/message", json=say("hello")) for _ in range(50)))
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
        assert (await alice.get("/billing/balance")).json()["balance"] == 99
