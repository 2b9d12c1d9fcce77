"""A conversation that does not fit into a model's window is trimmed in the chat, which says what it left out."""

from __future__ import annotations

from typing import Any

import httpx

from tests.kit.http import api, say, stream


async def talk(client: httpx.AsyncClient, *sizes: int, **fields: Any) -> list[dict[str, Any]]:
    """Send messages of so many words in one conversation, and return the answers; each reply has one word."""
    answers: list[dict[str, Any]] = []
    for size in sizes:
        where = {"conversation_id": answers[0]["conversation_id"]} if answers else {}
        body = say("w " * size, max_tokens=1, **where, **fields)
        answers.append((await client.post("/chat/message", json=body)).raise_for_status().json())
    return answers


async def test_an_answer_says_how_much_was_read_and_what_was_left_out(alice: httpx.AsyncClient) -> None:
    answers = await talk(alice, 1_000, 1_000, 1_000, 40, 2_000, 40)

    assert [answer["context"] for answer in answers] == [
        {"tokens": 1_000, "limit": 2_048, "dropped_turns": 0},
        {"tokens": 2_001, "limit": 2_048, "dropped_turns": 0},
        {"tokens": 2_001, "limit": 2_048, "dropped_turns": 2},
        {"tokens": 2_042, "limit": 2_048, "dropped_turns": 2},
        {"tokens": 2_041, "limit": 2_048, "dropped_turns": 6},
        {"tokens": 2_041, "limit": 2_048, "dropped_turns": 8},
    ]


async def test_a_stream_the_history_and_the_conversation_say_the_same(alice: httpx.AsyncClient) -> None:
    (first,) = await talk(alice, 2_000)
    body = say("w " * 1_000, conversation_id=first["conversation_id"])
    async with stream(alice, body) as events:
        *_, (name, done) = [event async for event in events]
    (newest, oldest) = (await alice.get("/chat/history")).json()["items"]
    thread = (await alice.get(f"/chat/conversations/{first['conversation_id']}")).json()

    assert (name, done["context"]) == ("done", {"tokens": 1_000, "limit": 2_048, "dropped_turns": 2})
    assert (newest["dropped_turns"], oldest["dropped_turns"]) == (2, 0)
    assert [message["dropped_turns"] for message in thread["messages"]] == [0, 2]
    assert [item["error_detail"] for item in (newest, oldest)] == [None, None]


async def test_a_repeated_request_gets_the_same_context_again(alice: httpx.AsyncClient) -> None:
    (first,) = await talk(alice, 2_000)
    body = say("w " * 1_000, conversation_id=first["conversation_id"])
    answers = [
        (await alice.post("/chat/message", json=body, headers={"Idempotency-Key": "k"})).json() for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert answers[0]["context"]["dropped_turns"] == 2


async def test_turns_beyond_those_that_are_read_back_count_as_left_out(alice: httpx.AsyncClient) -> None:
    async with api(welcome_credits=1_000) as service:
        answers = await talk(await service.person(), *[1] * 203)

    assert [answer["context"]["dropped_turns"] for answer in answers[-4:]] == [0, 0, 2, 4]


async def test_a_message_that_cannot_fit_alone_is_refused_before_anything_is_held(alice: httpx.AsyncClient) -> None:
    (first,) = await talk(alice, 10)
    body = say("w " * 1_600, conversation_id=first["conversation_id"])
    answers = [
        await alice.post("/chat/message", json=body, headers=accept) for accept in ({}, {"Accept": "text/event-stream"})
    ]

    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "context_length_exceeded")
        assert "your message has at least 1600 tokens" in problem["detail"]
        assert "512 are for the reply" in problem["detail"]
    assert (await alice.get("/billing/balance")).json() == {"balance": 99, "held": 0, "available": 99}
    assert len((await alice.get("/chat/history")).json()["items"]) == 1
