"""Replies that are left unpaid are bounded for each person, through every door."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx

from chatbill.adapters.rate_limits.moving_window import MovingWindowRateLimits
from tests.kit.http import Api, say, served, stream
from tests.kit.waiting import eventually

LONG = "[[tokens:400]] [[pause:0.02]]"
COMPLETION: dict[str, object] = {"model": "demo-mini", "messages": [{"role": "user", "content": LONG}]}


async def leave(service: Api, client: httpx.AsyncClient, path: str, body: dict[str, object]) -> None:
    """Send a request, and disconnect while the model writes."""
    asking = asyncio.create_task(client.post(path, json=body))
    await eventually(lambda: len(service.world.use_cases.chat.replies) > 0)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    await service.settled()


async def test_requests_that_are_abandoned_halfway_end_in_429() -> None:
    async with served(rate_limits=MovingWindowRateLimits(), unpaid_replies=3, deadline_s=60) as service:
        alice, bob = await service.person(), await service.person("bob")
        await leave(service, alice, "/chat/message", say(LONG))
        await leave(service, alice, "/v1/chat/completions", COMPLETION)
        async with stream(alice, say(f"[[sleep:30]] {LONG}")) as events:
            await anext(events)
        await service.settled()

        chat = await alice.post("/chat/message", json=say("hello"))
        openai = await alice.post("/v1/chat/completions", json=COMPLETION)
        assert (chat.status_code, chat.json()["code"]) == (429, "rate_limited")
        assert "ended unpaid within an hour" in chat.json()["detail"]
        assert (openai.status_code, openai.json()["error"]["code"]) == (429, "rate_limited")
        assert all(3_500 < int(answer.headers["Retry-After"]) <= 3_601 for answer in (chat, openai))
        assert (await bob.post("/chat/message", json=say("hello"))).status_code == 200
        balance = (await alice.get("/billing/balance")).json()
        assert balance == {"balance": 100, "held": 0, "available": 100}
