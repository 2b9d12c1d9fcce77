"""Clients that disconnect: delivered text is charged, and no reply and no hold remains."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from chatbill.application.chat.events import Accepted, Delta
from chatbill.application.chat.messages import Message
from chatbill.entrypoints.http.chat.events import ChatbillEvents
from chatbill.entrypoints.web.event_stream import ReplyStream
from tests.kit.http import Api, api, say, served, stream
from tests.kit.waiting import eventually

NO_SCOPE: Any = {}
LONG = "a [[tokens:200]] [[pause:0.05]]"


async def _end(service: Api, client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the only interaction in the history, once it has ended."""

    async def ended() -> bool:
        items = (await client.get("/chat/history")).json()["items"]
        return bool(items) and not (await client.get("/billing/balance")).json()["held"]

    # On a busy machine, the message is accepted only after its client has left.
    await eventually(ended, within_s=30)
    await service.settled()
    balance = (await client.get("/billing/balance")).json()
    [item] = (await client.get("/chat/history")).json()["items"]
    assert service.world.engine.status()[item["model"]].running == 0
    charged: dict[str, Any] = item
    assert balance["balance"] == 100 - charged["credits_charged"]
    return charged


async def test_a_stream_closed_before_the_first_token_is_free() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say("a [[sleep:4]]")) as events:
            await anext(events)
        item = await _end(service, alice)
        assert (item["outcome"], item["credits_charged"], item["reply"]) == ("stopped", 0, "")


async def test_a_stream_closed_after_the_first_token_is_charged_for_the_delivered_text() -> None:
    async with served() as service:
        alice = await service.person()
        async with stream(alice, say(LONG)) as events:
            await anext(events)
            await anext(events)
        item = await _end(service, alice)
        assert (item["outcome"], item["credits_charged"]) == ("stopped", 1)
        assert 1 <= item["usage"]["completion_tokens"] <= 50


async def test_a_waiting_client_that_disconnects_pays_nothing() -> None:
    async with served() as service:
        alice = await service.person()
        with pytest.raises(httpx.ReadTimeout):
            await alice.post("/chat/message", json=say(LONG), timeout=0.8)
        item = await _end(service, alice)
        assert (item["outcome"], item["credits_charged"]) == ("stopped", 0)


async def test_a_waiting_client_with_a_key_gets_its_reply_later() -> None:
    async with served() as service:
        alice = await service.person()
        key = {"Idempotency-Key": "k"}
        with pytest.raises(httpx.ReadTimeout):
            await alice.post("/chat/message", json=say("a b [[sleep:1.2]]"), headers=key, timeout=0.8)
        await service.settled()
        response = await alice.post("/chat/message", json=say("a b [[sleep:1.2]]"), headers=key)
        assert (response.status_code, response.json()["outcome"]) == (200, "completed")
        assert (await alice.get("/billing/balance")).json()["balance"] == 99


async def test_a_cancelled_request_is_settled() -> None:
    async with api() as service:
        alice = await service.person()
        for headers in ({}, {"Accept": "text/event-stream"}):
            asking = asyncio.create_task(alice.post("/chat/message", json=say(LONG), headers=headers))
            await eventually(lambda: len(service.world.use_cases.chat.replies) == 1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await service.settled()
            assert (await alice.get("/billing/balance")).json()["held"] == 0


async def test_a_stream_that_is_cancelled_repeatedly_is_settled() -> None:
    async with api() as service:
        principal = await service.world.person()
        reply = await service.world.use_cases.chat.send_message(principal, Message(model="demo-mini", text=LONG))
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            await asyncio.Event().wait()

        response = ReplyStream(reply, ChatbillEvents("r"), ping_s=1)
        streaming = asyncio.create_task(response(NO_SCOPE, receive, send))
        await eventually(lambda: any(b"delta" in message.get("body", b"") for message in sent))
        while not streaming.done():
            streaming.cancel()
            await asyncio.sleep(0)
        await service.settled()
        wallet = await service.world.use_cases.billing.read_balance(principal)
        assert (wallet.posted, wallet.held) == (99, 0)


class _BrokenReply:
    """A reply whose stream raises an error."""

    abandoned = False

    async def __aiter__(self) -> Any:
        yield Accepted(interaction_id="i", conversation_id="c", model="m", held=1)  # type: ignore[arg-type]
        yield Delta("a", 1)
        raise RuntimeError("a secret of the house")

    async def abandon(self) -> None:
        self.abandoned = True

    async def finished(self) -> Any:
        raise NotImplementedError

    async def early_failure(self, *, within_s: float) -> Any:
        raise NotImplementedError


async def test_a_broken_stream_ends_with_a_problem_without_details() -> None:
    sent: list[bytes] = []
    reply = _BrokenReply()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    await ReplyStream(reply, ChatbillEvents("r"), ping_s=1)(NO_SCOPE, receive, send)
    text = b"".join(sent).decode()
    assert "event: error" in text
    assert "internal_error" in text
    assert "secret" not in text
    assert reply.abandoned
