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
from tests.adapters.inference.openai.fake_servers import Connection, delta
from tests.adapters.inference.openai.scene import scene

TOO_LONG = [
    # OpenAI, vLLM, SGLang
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 2048 tokens.",
    "The decoder prompt (length 3000) is longer than the maximum model length of 2048.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    # llama.cpp, Ollama, LM Studio
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "the input length exceeds the context length",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    # TGI, Together, Fireworks
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    "The prompt is too long: 12000, model maximum context length: 8191",
    # Mistral, Gemini, xAI, Cerebras, Cohere, Bedrock, Anthropic
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "This model's maximum prompt length is 131072 but the request contains 172321 tokens.",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
    "Input is too long for requested model.",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    # another chatbill
    "This model's maximum context length is 2048 tokens. However, the prompt is too long.",
]
"""What servers say of a prompt that does not fit."""


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"error": {"code": "context_length_exceeded", "message": "Too many."}}),
        (400, {"message": "This model's maximum context length is 2048 tokens.", "code": 400}),
        (400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds"}}),
        (413, {"detail": "large"}),
        *((400, {"error": {"message": words}}) for words in TOO_LONG),
        *((422, {"error": words, "error_type": "validation"}) for words in TOO_LONG),
        (
            500,
            {
                "error": {
                    "code": 500,
                    "message": "the request exceeds the available context size",
                    "type": "server_error",
                }
            },
        ),
        (
            400,
            {"error": {"message": "Provider returned error", "metadata": {"raw": json.dumps({"detail": TOO_LONG[0]})}}},
        ),
        (422, {"detail": [{"type": "value_error", "loc": ["body"], "msg": TOO_LONG[0], "input": {}}]}),
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


async def test_a_prompt_that_is_refused_in_the_stream_is_shortened_too() -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.event(delta(role="assistant", content=""))
        if len(connection.body["messages"]) > 1:
            await connection.event({"error": {"message": "Context size has been exceeded.", "code": 500}})
            return
        await connection.say("Well", " said.")
        await connection.finish(prompt_tokens=3, completion_tokens=2)

    history = (Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello."))
    async with scene(handler) as here:
        end = await here.end("And now?", history=history)
        alone = await here.end("And now?", history=history, trim=False)

    assert isinstance(end, Completed)
    assert (end.interaction.reply, end.context.dropped_turns) == ("Well said.", 2)
    assert isinstance(alone, Failed)
    assert alone.code == "context_length_exceeded"


async def test_a_window_that_is_full_in_the_middle_of_a_reply_is_a_failure() -> None:
    async def handler(connection: Connection) -> None:
        await connection.head()
        await connection.say("Well")
        await connection.event({"error": {"message": "Context size has been exceeded.", "code": 500}})

    async with scene(handler) as here:
        end = await here.end("And now?", history=(Turn(Role.USER, "Hi"), Turn(Role.ASSISTANT, "Hello.")))

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.reply) == ("generation_failed", "Well")
    assert len(here.server.asked) == 1


async def test_a_conversation_that_must_be_whole_is_refused_where_the_server_refuses_it() -> None:
    said = tuple(Turn(role, "w" * 50) for _ in range(6) for role in (Role.USER, Role.ASSISTANT))
    async with scene(OneTokenPerCharacter(200)) as here:
        end = await here.end("And now?", history=said, trim=False)
        fits = await here.end("And now?", history=said[:2], trim=False)

    assert isinstance(end, Failed)
    assert (end.code, end.interaction.credits_charged) == ("context_length_exceeded", 0)
    assert render(end.description).startswith(
        "This model's maximum context length is 2048 tokens. However, the prompt is too long"
    )
    assert isinstance(fits, Completed)
    assert [len(asked["messages"]) for asked in here.server.asked] == [13, 3]


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


async def test_a_message_that_is_too_long_with_the_system_turn_is_asked_for_once() -> None:
    async with scene(OneTokenPerCharacter(300)) as here:
        end = await here.end("b" * 295, history=(Turn(Role.SYSTEM, "Be brief."),))

    assert isinstance(end, Failed)
    assert (end.code, len(here.server.asked)) == ("context_length_exceeded", 1)


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
