"""Replies that are stopped: the request at the server ends."""

from __future__ import annotations

import asyncio

from chatbill.application.chat.events import Delta, Stopped
from chatbill.domain.billing.prices import Usage
from tests.adapters.inference.openai.fake_servers import Connection
from tests.adapters.inference.openai.handlers import LIKELY_PROMPT
from tests.adapters.inference.openai.scene import PRICE, QUICK, scene
from tests.kit.waiting import eventually


async def test_a_stopped_reply_closes_the_request_at_the_server() -> None:
    closed = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say("one")
        await connection.left()
        closed.set()

    patient = QUICK.__class__(first_token_s=30, between_tokens_s=30)
    async with scene(handler, timeouts=patient) as here:
        reply = await here.send()
        stream = aiter(reply)
        assert [await anext(stream) for _ in range(2)][1] == Delta("one", 1)
        reply.stop()
        end = await reply.finished()
        await asyncio.wait_for(closed.wait(), timeout=1)
        await here.check(end)

        assert isinstance(end, Stopped)
        usage = Usage(prompt_tokens=LIKELY_PROMPT, completion_tokens=1)
        assert (end.interaction.usage, end.interaction.credits_charged) == (usage, PRICE.of(usage))


async def test_a_client_that_leaves_closes_the_request_at_the_server() -> None:
    closed = asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.left()
        closed.set()

    patient = QUICK.__class__(first_token_s=30, between_tokens_s=30)
    async with scene(handler, timeouts=patient) as here:
        reply = await here.send()
        await eventually(lambda: bool(here.server.asked))
        await reply.abandon()
        await asyncio.wait_for(closed.wait(), timeout=1)

        assert (await reply.finished()).interaction.credits_charged == 0
