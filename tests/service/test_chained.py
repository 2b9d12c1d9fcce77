"""A service whose models are on another service, reached by `/v1` and an API key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.waiting import eventually
from tests.service.process import Service, events

pytestmark = pytest.mark.slow

PROBES = 1 + 3
"""The credits that the first check of both models costs the owner of the key."""


@dataclass
class Chain:
    """`front` answers users. `back` has the models. The token `owner` is for `back`, and `asker` for `front`."""

    front: Service
    back: Service
    asker: str
    owner: str
    key_id: str

    async def ask(self, text: str, **fields: Any) -> httpx.Response:
        """Request a whole reply."""
        async with self.front.client(self.asker) as client:
            return await client.post("/chat/message", json={"model": "demo-mini", "message": text, **fields})

    async def stream(self, text: str, path: str = "/chat/message", **fields: Any) -> list[str]:
        """Return the lines of a streamed reply."""
        body = {"model": "demo-mini", "message": text, **fields}
        accept = {"Accept": "text/event-stream"}
        async with (
            self.front.client(self.asker) as client,
            client.stream("POST", path, json=body, headers=accept) as it,
        ):
            return [line async for line in it.aiter_lines()]

    async def books(self) -> list[tuple[int, int, list[dict[str, Any]]]]:
        """Return balance, held credits and the history without probes, newest first, of both services."""
        found = []
        for service, token in ((self.front, self.asker), (self.back, self.owner)):
            async with service.client(token) as client:
                balance = (await client.get("/billing/balance")).raise_for_status().json()
                history = (await client.get("/chat/history", params={"limit": 100})).raise_for_status().json()
            sent = [row for row in history["items"] if row["prompt"] != "Hi"]
            found.append((balance["balance"], balance["held"], sent))
        return found


@asynccontextmanager
async def chain(tmp_path: Path, *, welcome_credits: int = 100, cap: int | None = None) -> AsyncIterator[Chain]:
    back = Service(tmp_path / "back", {"CHATBILL_WELCOME_CREDITS": str(welcome_credits)})
    await asyncio.to_thread(back.start)
    try:
        owner = await back.person("front")
        async with back.client(owner) as client:
            made = await client.post("/auth/api-keys", json={"name": "front", "monthly_cap": cap})
            key = made.raise_for_status().json()
        variables = {"ENGINE": "openai", "ENGINE_URL": f"{back.url}/v1", "ENGINE_API_KEY": key["key"]}
        front = Service(tmp_path / "front", {f"CHATBILL_{name}": value for name, value in variables.items()})
        await asyncio.to_thread(front.start)
        try:
            yield Chain(front, back, await front.person("alice"), owner, key["id"])
        finally:
            assert await asyncio.to_thread(front.stop) == 0
    finally:
        assert await asyncio.to_thread(back.stop) == 0
    for service in (front, back):
        assert await asyncio.to_thread(service.verify)
        assert key["key"] not in "".join(service.output)


async def test_replies_and_streams_have_the_same_charge_and_usage_on_both_services(tmp_path: Path) -> None:
    async with chain(tmp_path) as both:
        whole = (await both.ask("one two three", model="demo-pro")).raise_for_status().json()
        again = await both.ask("four five six", conversation_id=whole["conversation_id"], max_tokens=2)
        streamed = events(await both.stream("naïve 日本語 😀 words"))
        body: dict[str, Any] = {"model": "demo-mini", "messages": [{"role": "user", "content": "a b c d"}]}
        body |= {"stop": [" c"], "max_tokens": 3}
        async with both.front.client(both.asker) as client:
            program = (await client.post("/v1/chat/completions", json=body)).raise_for_status().json()
        # Another message, because the front would answer the same one from its cache.
        body["messages"] = [{"role": "user", "content": "e f c d"}]
        chunks = await both.stream("", "/v1/chat/completions", **body, stream=True)
        (credits_, held, sent), (credits_back, held_back, sent_back) = await both.books()

    assert (whole["reply"], whole["model"], whole["credits_charged"]) == ("one two three", "demo-pro", 3)
    assert again.json()["usage"] == {"prompt_tokens": 9, "completion_tokens": 2}
    assert "".join(data["text"] for name, data in streamed if name == "delta") == "naïve 日本語 😀 words"
    # A stop string in the last token that the reply may have, on both services.
    assert program["choices"][0]["message"]["content"] == "a b"
    assert program["choices"][0]["finish_reason"] == "stop"
    assert '"content":" f"' in "".join(chunks)
    assert '"finish_reason":"stop"' in "".join(chunks)
    assert chunks[-2] == "data: [DONE]"
    compared = ("model", "prompt", "reply", "outcome", "usage", "credits_charged")
    assert [[row[name] for name in compared] for row in sent] == [[row[name] for name in compared] for row in sent_back]
    assert len(sent) == 5
    assert (credits_, credits_back) == (100 - 7, 100 - 7 - PROBES)
    assert held == held_back == 0


async def test_a_stop_at_the_front_stops_the_reply_at_the_back(tmp_path: Path) -> None:
    async with chain(tmp_path) as both:
        body = {"model": "demo-mini", "message": "on and on [[tokens:400]] [[pause:0.05]]"}
        accept = {"Accept": "text/event-stream"}
        async with (
            both.front.client(both.asker) as client,
            client.stream("POST", "/chat/message", json=body, headers=accept) as response,
        ):
            lines = []
            async for line in response.aiter_lines():
                lines.append(line)
                if len(lines) == 9:
                    accepted = events(lines)[0][1]
                    (await client.post(f"/chat/interactions/{accepted['id']}/stop")).raise_for_status()

        async def settled() -> bool:
            return all(not held for _, held, _ in await both.books())

        await eventually(settled, within_s=20, every_s=0.05)
        (credits_, _, (row,)), (credits_back, _, (row_behind,)) = await both.books()

    assert events(lines)[-1][1]["outcome"] == row["outcome"] == row_behind["outcome"] == "stopped"
    assert row_behind["reply"].startswith(row["reply"])
    written, written_behind = (each["usage"]["completion_tokens"] for each in (row, row_behind))
    assert 0 < written <= written_behind <= written + 4
    assert (credits_, credits_back) == (99, 99 - PROBES)


async def test_a_failure_at_the_back_is_free_on_both_services(tmp_path: Path) -> None:
    async with chain(tmp_path) as both:
        before = await both.ask("[[fail:before]]")
        streamed = events(await both.stream("x y z [[fail:after:2]]"))
        (credits_, held, sent), (_, held_back, sent_back) = await both.books()
        works = await both.ask("and on it goes")

    assert (before.status_code, before.json()["code"]) == (502, "generation_failed")
    assert [name for name, _ in streamed] == ["accepted", "delta", "delta", "error"]
    for rows in (sent, sent_back):
        assert [(row["outcome"], row["credits_charged"]) for row in rows] == [("failed", 0), ("failed", 0)]
    assert (credits_, held, held_back) == (100, 0, 0)
    assert works.status_code == 200


@pytest.mark.parametrize("by", ["wallet", "cap"])
async def test_without_credits_at_the_back_the_model_is_unavailable_until_credits_are_added(
    tmp_path: Path, by: str
) -> None:
    terms: dict[str, Any] = {"welcome_credits": PROBES + 1} if by == "wallet" else {"cap": PROBES + 1}
    async with chain(tmp_path, **terms) as both:
        paid = await both.ask("one")
        refused = await both.ask("two")
        streamed = await both.ask("three", max_tokens=5)
        async with both.front.client(both.asker) as client:
            models = (await client.get("/chat/models")).json()
        (credits_, held, _), (credits_back, held_back, _) = await both.books()
        if by == "wallet":
            async with both.back.client(both.owner) as client:
                (await client.post("/billing/add", json={"amount": 50})).raise_for_status()

            async def works() -> bool:
                return (await both.ask("four")).status_code == 200

            await eventually(works, within_s=20, every_s=0.05)

    assert paid.status_code == 200
    for response in (refused, streamed):
        assert (response.status_code, response.json()["code"]) == (503, "model_unavailable")
        assert "operator" in response.json()["detail"]
        assert "credits" not in response.json()["detail"]
    assert [model["available"] for model in models if model["id"] == "demo-mini"] == [False]
    assert (credits_, held) == (99, 0)
    assert (credits_back, held_back) == ((0, 0) if by == "wallet" else (100 - PROBES - 1, 0))
    assert ("insufficient_credits" if by == "wallet" else "cap_reached") in "".join(both.front.output)


async def test_a_revoked_key_makes_the_models_unavailable_free_of_charge(tmp_path: Path) -> None:
    async with chain(tmp_path) as both:
        async with both.back.client(both.owner) as client:
            (await client.delete(f"/auth/api-keys/{both.key_id}")).raise_for_status()
        refused = await both.ask("one")

        async def is_out() -> bool:
            answer = await both.ask("two")
            return (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")

        await eventually(is_out, within_s=20, every_s=0.05)  # a probe has been rejected too
        (credits_, held, _), _ = await both.books()

    assert (refused.status_code, refused.json()["code"]) == (502, "generation_failed")
    assert (credits_, held) == (100, 0)
