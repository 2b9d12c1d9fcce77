"""Conversations and the history over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.http import Api, say
from tests.kit.support import PRO


async def test_a_conversation_is_listed_read_renamed_and_deleted(alice: httpx.AsyncClient) -> None:
    first = (await alice.post("/chat/message", json=say("hello there"))).json()
    path = f"/chat/conversations/{first['conversation_id']}"
    await alice.post("/chat/message", json=say("more", conversation_id=first["conversation_id"]))
    [listed] = (await alice.get("/chat/conversations")).json()["items"]
    assert (listed["id"], listed["title"]) == (first["conversation_id"], "hello there")
    thread = (await alice.get(path)).json()
    assert [message["prompt"] for message in thread["messages"]] == ["hello there", "more"]
    assert thread["messages"][0]["reply"] == "hello there"
    renamed = await alice.patch(path, json={"title": "Greetings"})
    assert (renamed.status_code, renamed.json()["title"]) == (200, "Greetings")
    assert (await alice.delete(path)).status_code == 204
    assert (await alice.get(path)).status_code == 404
    assert (await alice.get("/chat/conversations")).json()["items"] == []


async def test_the_history_shows_everything_newest_first(service: Api, alice: httpx.AsyncClient) -> None:
    for text in ("first", "second"):
        await alice.post("/chat/message", json=say(text))
        service.world.clock.advance(60)
    items = (await alice.get("/chat/history")).json()["items"]
    assert [item["prompt"] for item in items] == ["second", "first"]
    assert set(items[0]) >= {
        "id",
        "conversation_id",
        "model",
        "prompt",
        "reply",
        "outcome",
        "credits_charged",
        "usage",
        "processing_time_ms",
        "created_at",
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"model": "demo-pro"}, ["pro"]),
        ({"q": "RLY"}, ["early"]),
        ({"q": ""}, ["pro", "late", "early"]),
        ({"from": "2026-01-01T00:01:00Z"}, ["pro", "late"]),
        ({"to": "2026-01-01T00:01:00Z"}, ["early"]),
        ({"from": "2026-01-01T01:01:00+01:00", "to": "2026-01-01T00:02:00"}, ["late"]),
        ({"from": "2026-01-01", "to": "2026-01-02"}, ["pro", "late", "early"]),
        ({"outcome": "completed"}, ["pro", "late", "early"]),
        ({"outcome": "failed"}, []),
        ({"limit": "1"}, ["pro"]),
    ],
)
async def test_the_history_can_be_searched(
    service: Api, alice: httpx.AsyncClient, params: dict[str, str], expected: list[str]
) -> None:
    for text, model in (("early", "demo-mini"), ("late", "demo-mini"), ("pro", PRO)):
        await alice.post("/chat/message", json=say(text, model=model))
        service.world.clock.advance(60)
    items = (await alice.get("/chat/history", params=params)).json()["items"]
    assert [item["prompt"] for item in items] == expected


async def test_a_plus_sign_decoded_as_a_blank_is_accepted_as_an_offset(alice: httpx.AsyncClient) -> None:
    response = await alice.get("/chat/history?from=2026-01-01T01:00:00+01:00")
    assert response.status_code == 200


async def test_the_history_comes_in_pages(alice: httpx.AsyncClient) -> None:
    for number in range(5):
        await alice.post("/chat/message", json=say(f"message {number}"))
    found: list[str] = []
    params = {"limit": "2"}
    while True:
        page = (await alice.get("/chat/history", params=params)).json()
        found += [item["prompt"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == [f"message {number}" for number in (4, 3, 2, 1, 0)]


async def test_a_conversation_is_pinned_and_says_so(alice: httpx.AsyncClient) -> None:
    first = (await alice.post("/chat/message", json={"model": "demo-mini", "message": "first"})).json()
    await alice.post("/chat/message", json={"model": "demo-mini", "message": "second"})
    address = f"/chat/conversations/{first['conversation_id']}"
    changed = (await alice.patch(address, json={"pinned": True})).json()
    assert (changed["title"], changed["pinned"]) == ("first", True)
    listed = (await alice.get("/chat/conversations")).json()["items"]
    assert [(each["title"], each["pinned"]) for each in listed] == [("first", True), ("second", False)]
    assert (await alice.get(address)).json()["pinned"] is True
    assert (await alice.patch(address, json={})).status_code == 422
