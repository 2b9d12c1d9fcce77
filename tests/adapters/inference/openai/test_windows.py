"""Prompts that do not fit into the window of a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatbill.application.chat.events import Completed, Failed
from chatbill.application.ports.engine import ModelState
from chatbill.domain.billing.prices import Usage
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ContextLengthExceeded
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.openai.fake_servers import Connection
from tests.adapters.inference.openai.scene import scene


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"error": {"code": "context_length_exceeded", "message": "Too many."}}),
        (400, {"message": "This model's maximum context length is 2048 tokens.", "code": 400}),
        (400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds"}}),
        (413, {"detail": "large"}),
    ],
)
async def test_a_prompt_over_the_servers_window_is_refused(status: int, error: dict[str, Any]) -> None:
    async def handler(connection: Connection) -> None:
        await connection.refuse(status, json.dumps(error))

    async with scene(handler) as here:
        end = await here.end()

        assert isinstance(end, Failed)
        assert (end.code, end.interaction.credits_charged) == ("context_length_exceeded", 0)
        assert here.status.state is ModelState.READY


class OneTokenPerCharacter:
    """A server to which every letter is a token, and whose window is `room` of them."""

    def __init__(self, room: int) -> None:
        self.room = room

    async def __call__(self, connection: Connection) -> None:
        size = sum(len(message["content"]) for message in connection.body["messages"])
        if size > self.room:
            await connection.refuse(400, '{"error": {"message": "The prompt is over the context window."}}')
            return
        await connection.head()
        await connection.say("x" * 40, "y" * 40)
        await connection.finish(prompt_tokens=size, completion_tokens=2)


async def test_a_conversation_with_more_tokens_than_estimated_continues_without_its_oldest_turns() -> None:
    async with scene(OneTokenPerCharacter(300)) as here:
        first = await here.end("a" * 60)
        where = first.interaction.conversation_id
        ends = [await here.end(f"{number}" + "b" * 60, conversation_id=where) for number in range(8)]
        prompts = [[message["content"] for message in asked["messages"]] for asked in here.server.asked]

    assert all(isinstance(end, Completed) for end in ends)
    assert prompts[-1] == ["6" + "b" * 60, "x" * 40 + "y" * 40, "7" + "b" * 60]
    assert ends[-1].interaction.usage.prompt_tokens == 61 + 80 + 61
    assert len(prompts) <= 1 + 3 * len(ends)
    assert all(end.interaction.credits_charged <= end.interaction.held for end in ends)


async def test_a_message_too_long_by_itself_is_refused_and_the_conversation_continues() -> None:
    async with scene(OneTokenPerCharacter(300)) as here:
        first = await here.end("a" * 60)
        where = first.interaction.conversation_id
        long = await here.end("b" * 301, conversation_id=where)
        asked = len(here.server.asked)
        after = await here.end("c" * 20, conversation_id=where)

        assert here.status.state is ModelState.READY
    assert isinstance(long, Failed)
    assert (long.code, long.interaction.credits_charged) == ("context_length_exceeded", 0)
    assert "even without what was said before. Shorten it" in render(long.description)
    assert asked == 3
    assert isinstance(after, Completed)
    assert after.interaction.usage.prompt_tokens == 60 + 80 + 20


async def test_a_message_that_is_too_long_by_estimate_only_is_sent_to_the_server() -> None:
    async def handler(connection: Connection) -> None:
        size = sum(len(message["content"].split()) for message in connection.body["messages"])
        if size > 1_500:
            await connection.refuse(400, '{"error": {"message": "The prompt is over the context window."}}')
            return
        await connection.head()
        await connection.say("Well", " said.")
        await connection.finish(prompt_tokens=size, completion_tokens=2)

    history = (Turn(Role.SYSTEM, "Be brief."), Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
    async with scene(handler) as here:
        fits = await here.end("word " * 1_400, history=history)
        alone = here.server.asked[-1]["messages"]
        too_long = await here.end("word " * 1_600)
        asked = len(here.server.asked)
        with pytest.raises(ContextLengthExceeded) as absurd:
            await here.send("\U0001f980" * 4 * 1_537)
        absurd_asked = len(here.server.asked) - asked

    assert isinstance(fits, Completed)
    assert fits.interaction.usage == Usage(prompt_tokens=1_402, completion_tokens=2)
    assert fits.interaction.credits_charged <= fits.interaction.held
    assert [message["content"] for message in alone] == ["Be brief.", "word " * 1_400]
    assert isinstance(too_long, Failed)
    assert (too_long.code, too_long.interaction.credits_charged, asked) == ("context_length_exceeded", 0, 2)
    assert absurd_asked == 0
    assert dict(absurd.value.description.params) == {"limit": 2_048, "whole": False}, "the estimate must not be shown"


async def test_the_system_turn_is_kept_when_a_conversation_is_shortened() -> None:
    said = [Turn(role, "w" * 50) for _ in range(6) for role in (Role.USER, Role.ASSISTANT)]
    async with scene(OneTokenPerCharacter(200)) as here:
        end = await here.end("And now?", history=(Turn(Role.SYSTEM, "Be brief."), *said))
        sizes = [len(asked["messages"]) for asked in here.server.asked]

    assert isinstance(end, Completed)
    read = [message["content"] for message in here.server.asked[-1]["messages"]]
    assert (read[0], read[-1]) == ("Be brief.", "And now?")
    assert sizes == sorted(set(sizes), reverse=True)
    assert len(sizes) > 1
