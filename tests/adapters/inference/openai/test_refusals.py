"""Servers that refuse requests: what it means for the reply, for the model, and for the next requests."""

from __future__ import annotations

import json

import pytest
import structlog

from chatbill.application.chat.events import Completed, Failed
from chatbill.application.ports.engine import ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import Connection
from tests.adapters.inference.openai.handlers import good
from tests.adapters.inference.openai.scene import scene
from tests.kit.waiting import eventually


@pytest.mark.parametrize(("status", "code"), [(402, "why"), (404, "why"), (429, "insufficient_quota")])
async def test_an_unknown_model_or_an_account_without_credit_makes_the_model_unavailable(
    status: int, code: str
) -> None:
    async def handler(connection: Connection) -> None:
        words = '{"error": {"message": "no such thing as key s3cret-key here", "code": "CODE"}}'
        await connection.refuse(status, words.replace("CODE", code))

    async with scene(handler, key="s3cret-key") as here:
        with structlog.testing.capture_logs() as logs:
            end = await here.end()
        refused = here.status
        with pytest.raises(ModelUnavailable):
            await here.send()

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("model_unavailable", 0)
    assert refused.state is ModelState.UNAVAILABLE
    assert refused.reason == Description("model_not_set_up")
    assert "no such thing" not in f"{render(end.description)} {refused.reason}"
    causes = [log["cause"] for log in logs if log["event"] == "model_server_problem"]
    assert causes == [f"answered {status}: {code}, {len(code) + 32} characters"]
    assert here.server.asked[0]["head"].count("authorization: bearer s3cret-key") == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_message_does_not_affect_other_messages(status: int) -> None:
    async def handler(connection: Connection) -> None:
        if "flagged" in connection.body["messages"][-1]["content"]:
            await connection.refuse(status, '{"error": {"message": "your input was flagged"}}')
        else:
            await good(connection)

    async with scene(handler) as here:
        for _ in range(6):
            probes = here.server.probes
            end = await here.end("flagged")
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
            assert "in other words" in render(end.description)
            assert here.status.state is ModelState.READY
            assert isinstance(await here.end(), Completed)
            await eventually(lambda probes=probes: here.server.probes > probes)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_detected_by_a_probe(status: int) -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, '{"error": {"message": "no such thing as key s3cret-key here", "code": "why"}}')

    async with scene(handler, key="s3cret-key") as here:
        with structlog.testing.capture_logs() as logs:
            here.server.probed = handler
            await here.end()
            await eventually(lambda: here.status.state is ModelState.UNAVAILABLE)
        reason = here.status.reason
        with pytest.raises(ModelUnavailable):
            await here.send()
        here.server.probed = good
        await eventually(lambda: here.status.state is ModelState.READY)

    assert reason == Description("model_not_set_up")
    assert "no such thing" not in str(reason)
    causes = [log["cause"] for log in logs if log["event"] == "model_unavailable"]
    assert causes == [f"answered {status}: why no such thing as key [key] here"]
    assert here.server.asked[0]["head"].count("authorization: bearer s3cret-key") == 1


@pytest.mark.parametrize("status", [400, 422, 409])
async def test_a_rejected_request_is_free_and_does_not_stop_other_requests(status: int) -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, '{"detail": [{"msg": "odd", "input": "what the person wrote"}]}')

    async with scene(handler) as here:
        for _ in range(8):
            end = await here.end()
            assert isinstance(end, Failed)
            assert (end.code, end.interaction.credits_charged) == ("generation_failed", 0)
        assert here.status.state is ModelState.READY


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "System role not supported"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (422, "This model does not take system messages."),
        (500, "Jinja Exception: System role not supported"),
    ],
)
async def test_a_model_without_a_system_role_gets_the_system_turn_in_the_first_user_turn(
    status: int, words: str
) -> None:
    async def handler(connection: Connection) -> None:
        if any(message["role"] == "system" for message in connection.body["messages"]):
            await connection.refuse(status, json.dumps({"error": {"message": words}}))
            return
        await good(connection)

    said = (
        Turn(Role.SYSTEM, "Be brief."),
        Turn(Role.USER, "Hi"),
        Turn(Role.ASSISTANT, "Hello."),
    )
    async with scene(handler) as here:
        ends = [await here.end("And now?", history=said) for _ in range(2)]
        plain = await here.end("Hello there")

    assert all(isinstance(end, Completed) for end in (*ends, plain))
    refused, *folded, without = [[*map(tuple, map(dict.values, asked["messages"]))] for asked in here.server.asked]
    assert refused[0] == ("system", "Be brief.")
    assert folded == [[("user", "Be brief.\n\nHi"), ("assistant", "Hello."), ("user", "And now?")]] * 2
    assert without == [("user", "Hello there")]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_refusal_that_names_the_system_role_is_retried_only_once(status: int) -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, '{"error": {"message": "System role not supported, nor any other"}}')

    async with scene(handler) as here:
        end = await here.end("Hi", history=(Turn(Role.SYSTEM, "Be brief."),))

        assert isinstance(end, Failed)
        assert len(here.server.asked) == 2
