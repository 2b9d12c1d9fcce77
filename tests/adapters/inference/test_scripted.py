"""The directives of the scripted engine."""

from __future__ import annotations

import time

import pytest

from chatbill.adapters.inference.catalogue.files import domain_catalogue, load_catalogue
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import GenerationFailed, OutOfMemory
from chatbill.domain.shared.ids import ModelId


async def written(text: str, *, max_tokens: int = 100) -> tuple[list[Chunk], GenerationFailed | None]:
    """The chunks of the reply, and the error that ended it, if any."""
    engine = ScriptedEngine(domain_catalogue(load_catalogue("demo")))
    turns = (Turn(Role.USER, "[[oom]] in an old message means nothing"), Turn(Role.ASSISTANT, "ok"))
    request = GenerationRequest(
        model=ModelId("demo-mini"), turns=(*turns, Turn(Role.USER, text)), max_tokens=max_tokens
    )
    generation = await engine.prepare(request)
    chunks: list[Chunk] = []
    try:
        async for chunk in generation.stream():
            chunks.append(chunk)  # noqa: PERF401 - kept also when the next one fails
    except GenerationFailed as error:
        return chunks, error
    return chunks, None


async def test_it_answers_with_the_words_of_the_prompt() -> None:
    chunks, error = await written("hello dear world")

    assert chunks == [Chunk("hello", 1), Chunk(" dear", 1), Chunk(" world", 1)]
    assert error is None


async def test_a_message_without_words_is_answered_too() -> None:
    assert await written("[[sleep:0]]") == ([Chunk("ok", 1)], None)


async def test_tokens_sets_their_number_up_to_max_tokens() -> None:
    assert len((await written("a b [[tokens:7]]"))[0]) == 7
    assert len((await written("a b [[tokens:7]]", max_tokens=3))[0]) == 3
    assert (await written("a b [[tokens:0]]"))[0] == []


async def test_sleep_comes_before_the_first_token_and_pause_between_tokens() -> None:
    started = time.monotonic()
    await written("a b c [[sleep:0.1]] [[pause:0.05]]")

    assert 0.19 < time.monotonic() - started < 1


@pytest.mark.parametrize(("directive", "tokens"), [("[[fail:before]]", 0), ("[[fail:after:3]]", 3)])
async def test_fail_breaks_the_reply(directive: str, tokens: int) -> None:
    chunks, error = await written(f"one {directive}")

    assert len(chunks) == tokens
    assert type(error) is GenerationFailed


async def test_oom_runs_out_of_memory() -> None:
    chunks, error = await written("one [[oom]]")

    assert chunks == []
    assert isinstance(error, OutOfMemory)


async def test_text_that_is_not_a_directive_stays_text() -> None:
    chunks, _ = await written("[[sleep:long]] [[tokens:-1]] [[other]]")

    assert "".join(chunk.text for chunk in chunks) == "[[sleep:long]] [[tokens:-1]] [[other]]"
