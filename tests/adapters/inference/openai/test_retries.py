"""Requests that are repeated because the server had not begun them, and connections that are reused."""

from __future__ import annotations

import pytest

from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.application.chat.events import Completed, Failed
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import (
    Handler,
    on_server,
    working_server,
    works,
)
from tests.adapters.inference.openai.handlers import (
    in_turn,
    refusing,
    reset_at_once,
)
from tests.adapters.inference.openai.scene import MINI, QUICK, scene


@pytest.mark.parametrize(
    "first",
    [
        refusing(429),
        refusing(503),
        refusing(429, "{}", "Retry-After: 0.1"),
        refusing(503, "{}", "Retry-After: Fri, 01 Jan 2027 00:00:00 GMT"),
        reset_at_once,
    ],
)
async def test_a_request_that_was_not_begun_is_retried(first: Handler) -> None:
    async with scene(in_turn(first, works)) as here:
        end = await here.end()

        assert isinstance(end, Completed)
        assert len(here.server.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 400, 401])
async def test_a_request_that_may_have_begun_or_would_fail_again_is_not_retried(status: int) -> None:
    async with scene(in_turn(refusing(status), works)) as here:
        assert isinstance(await here.end(), Failed)
        assert len(here.server.asked) == 1


async def test_the_number_of_retries_is_limited() -> None:
    async with scene(refusing(503)) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert (end.code, end.interaction.credits_charged) == ("overloaded", 0)
        assert len(here.server.asked) == QUICK.tries


async def test_a_long_retry_after_is_passed_on() -> None:
    async with scene(in_turn(refusing(429, "{}", "Retry-After: 60"), works)) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert "60 s" in render(end.description)
        assert end.retry_after_s == 60
        assert len(here.server.asked) == 1


async def test_consecutive_replies_use_one_connection() -> None:
    async with working_server() as server:
        engine = OpenAIEngine(on_server(server.url)[:1])
        await engine.start()
        for _ in range(3):
            request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "one two"),), max_tokens=5)
            generation = await engine.prepare(request)
            assert "".join([chunk.text async for chunk in generation.stream()]) == "one two"
        await engine.close()

    assert len(server.bodies) == 4  # with the probe at the start
    assert len(server.connections) == 1
