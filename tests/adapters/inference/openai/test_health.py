"""Models on servers: when they count as working, and what is probed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import structlog

from chatbill.adapters.inference.openai import OpenAIEngine
from chatbill.application.chat.events import Failed
from chatbill.application.ports.engine import GenerationRequest, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable
from tests.adapters.inference.openai.fake_servers import (
    Connection,
    ScriptedServer,
    delta,
    on_server,
    scripted_server,
    works,
)
from tests.adapters.inference.openai.handlers import (
    BROKEN,
    NOT_SET_UP,
    PRO,
    answering,
    becomes,
    free_port,
    in_turn,
    refusing,
)
from tests.adapters.inference.openai.scene import MINI, QUICK, scene
from tests.kit.waiting import eventually


async def test_a_model_is_ready_after_its_first_token() -> None:
    async with scripted_server() as server:
        engine = OpenAIEngine(on_server(server.url), timeouts=QUICK)
        assert {status.state for status in engine.status().values()} == {ModelState.LOADING}
        with pytest.raises(ModelUnavailable, match="model_server_not_answered"):
            await engine.prepare(GenerationRequest(model=MINI, turns=(Turn(Role.USER, "Hi"),), max_tokens=2))
        await engine.start()
        states = [status.state for status in engine.status().values()]
        await engine.close()

        assert states == [ModelState.READY] * 2
        assert server.probes == 2
        assert all(status.reason == Description("model_service_stopping") for status in engine.status().values())


async def test_a_model_is_unavailable_until_its_server_is_reachable() -> None:
    port = free_port()
    engine = OpenAIEngine(on_server(f"http://127.0.0.1:{port}/v1"), timeouts=QUICK, probe_s=0.1)
    await engine.start()
    away = engine.status()[MINI]
    bad = ScriptedServer()
    server = await asyncio.start_server(bad.serve, "127.0.0.1", port)
    await eventually(lambda: engine.status()[MINI].state is ModelState.READY)
    await engine.close()
    server.close()

    assert away.state is ModelState.UNAVAILABLE
    assert away.reason == Description("model_server_unreachable")


async def test_an_idle_model_is_probed_and_a_busy_one_is_not() -> None:
    async with scene(probe_s=0.2) as here:
        probes = here.server.probes
        for _ in range(8):
            await here.end()
            await asyncio.sleep(0.05)
        busy = here.server.probes - probes
        await asyncio.sleep(0.7)
        idle = here.server.probes - probes - busy

    assert busy == 0
    assert 2 <= idle <= 4


async def test_a_model_that_fails_while_idle_is_detected() -> None:
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        reason = here.status.reason
        here.server.probed = works
        await becomes(here, ModelState.READY)

    assert reason == BROKEN


async def test_a_silent_server_is_detected_long_before_the_timeout_of_a_reply() -> None:
    timeouts = replace(QUICK, first_token_s=60, probe_timeout_s=0.3)
    async with scene(probe_s=0.1, timeouts=timeouts) as here:
        here.server.probed = Connection.left
        await becomes(here, ModelState.UNAVAILABLE)
        reason = here.status.reason

    assert reason == BROKEN


TOOL_CALLS = [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    "events",
    [
        [delta(finish_reason="stop")],
        [delta(role="assistant", content=""), delta(finish_reason="length")],
        [{**delta(finish_reason="stop"), "usage": {"prompt_tokens": 8, "completion_tokens": 0}}],
        [delta(tool_calls=TOOL_CALLS), delta(finish_reason="tool_calls")],
    ],
)
async def test_a_probe_that_ends_without_a_token_has_failed(events: list[dict[str, Any]]) -> None:
    async with scene(probed=answering(*events)) as here:
        assert here.status.state is ModelState.UNAVAILABLE
        assert here.status.reason == BROKEN
        here.server.probed = works
        await becomes(here, ModelState.READY)


@pytest.mark.parametrize(
    "events",
    [
        [delta(content="Hi"), delta(finish_reason="length")],
        [delta(reasoning_content="Hm"), delta(finish_reason="length")],
        [{**delta(finish_reason="length"), "usage": {"prompt_tokens": 8, "completion_tokens": 1}}],
        [delta(finish_reason="length"), {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 1}}],
    ],
)
async def test_a_hidden_token_shows_that_a_model_works(events: list[dict[str, Any]]) -> None:
    async with scene(probed=answering(*events)) as here:
        assert here.status.state is ModelState.READY


async def test_an_unavailable_model_states_when_to_retry() -> None:
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        with pytest.raises(ModelUnavailable) as broken:
            await here.send()
        here.server.probed = refusing(404)
        await eventually(lambda: here.status.reason == NOT_SET_UP)
        with pytest.raises(ModelUnavailable) as unknown:
            await here.send()
        here.server.probed = refusing(429, "{}", "Retry-After: 59.5")
        await eventually(lambda: here.status.reason == Description("model_server_busy"))
        with pytest.raises(ModelUnavailable) as busy:
            await here.send()

    errors = (broken, unknown, busy)
    assert [error.value.retry_after_s for error in errors] == [5, None, 60]


async def test_a_model_that_is_not_offered_has_time_to_be_loaded() -> None:
    async def loads(connection: Connection) -> None:
        await asyncio.sleep(0.6)
        await works(connection)

    async with scene(probe_s=5, timeouts=replace(QUICK, first_token_s=5, probe_timeout_s=0.1), probed=loads) as here:
        assert here.status.state is ModelState.READY


async def test_an_offered_model_is_healthy_only_while_it_is_known_to_write() -> None:
    async with scene(probe_s=0.1, timeouts=replace(QUICK, probe_timeout_s=0.2)) as here:
        await asyncio.sleep(0.6)
        watched = here.status
        [remote] = here.engine._models.values()
        assert remote._watching
        remote._watching.cancel()  # so that it is not probed any more
        await eventually(lambda: not here.status.healthy)
        forgotten = here.status
        await here.end()
        heard = here.status

    assert (watched.state, watched.healthy) == (ModelState.READY, True)
    assert (forgotten.state, forgotten.available) == (ModelState.READY, True)
    assert heard.healthy


async def test_a_model_that_is_not_offered_because_its_server_fails_is_not_healthy() -> None:
    async with scene(probe_s=0.1) as here:
        here.server.probed = refusing(500)
        await becomes(here, ModelState.UNAVAILABLE)
        assert not here.status.healthy


async def test_without_an_interval_a_model_is_probed_only_after_a_failure() -> None:
    async with scene(in_turn(refusing(500), works), probe_s=0) as here:
        await asyncio.sleep(0.3)
        idle = here.server.probes
        quiet = here.status
        here.server.probed = refusing(500)
        await here.end()
        await becomes(here, ModelState.UNAVAILABLE)
        here.server.probed = works
        await becomes(here, ModelState.READY)

    assert idle == 1  # at the start
    assert (quiet.state, quiet.healthy) == (ModelState.READY, True)


async def test_failures_of_one_model_take_the_server_out_until_a_probe_works() -> None:
    async with scripted_server(refusing(500)) as server:
        engine = OpenAIEngine(on_server(server.url), timeouts=QUICK, probe_s=30)
        await engine.start()
        server.probed = Connection.left  # long enough to see what people's requests alone do
        request = GenerationRequest(model=MINI, turns=(Turn(Role.USER, "Hi"),), max_tokens=5)
        for _ in range(5):
            generation = await engine.prepare(request)
            with pytest.raises(GenerationFailed):
                await anext(generation.stream())
        with pytest.raises(ModelUnavailable, match="model_server_broken"):
            await engine.prepare(request)
        other = engine.status()[PRO]
        server.probed = works
        await eventually(lambda: all(status.state is ModelState.READY for status in engine.status().values()))
        await engine.close()

    assert len(server.asked) == 5
    assert other.state is ModelState.UNAVAILABLE


async def test_a_model_missing_on_its_server_is_available_again_once_it_is_there() -> None:
    async with scene(refusing(404)) as here:
        assert isinstance(await here.end(), Failed)
        assert here.status.state is ModelState.UNAVAILABLE
        await becomes(here, ModelState.READY)


@pytest.mark.parametrize(("path", "told"), [("", True), ("/v1", False)])
async def test_an_address_without_v1_is_told_at_start(path: str, told: bool) -> None:
    engine = OpenAIEngine(on_server(f"http://127.0.0.1:9{path}")[:1], key=lambda _: None, timeouts=QUICK)
    with structlog.testing.capture_logs() as logs:
        await engine.start()
    await engine.close()
    advice = [log["advice"] for log in logs if log["event"] == "model_server_address"]
    assert [("http://127.0.0.1:9/v1" in words) for words in advice] == ([True] if told else [])
