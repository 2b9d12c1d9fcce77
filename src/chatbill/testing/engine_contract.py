"""The contract of every engine: a class of tests that needs one fixture, `engine`, started and with one model at least.

class TestMyEngine(EngineContract):
    @pytest.fixture
    async def engine(self) -> Engine:
        return MyEngine()
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from chatbill.application.ports.engine import Engine, Generation, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId

TIMEOUT_S = 60.0


class EngineContract:
    """Tests the promises of an engine: counted tokens, bounded replies, places that are given back."""

    def request(
        self, engine: Engine, *, text: str = "Tell me a story of a fox.", max_tokens: int = 8
    ) -> GenerationRequest:
        """Return a request to the first model of the engine."""
        model = next(iter(engine.status()))
        return GenerationRequest(model=model, turns=(Turn(Role.USER, text),), max_tokens=max_tokens, temperature=0)

    async def test_a_reply_has_no_more_tokens_than_were_asked_for(self, engine: Engine) -> None:
        for max_tokens in (1, 3, 8):
            generation = await engine.prepare(self.request(engine, max_tokens=max_tokens))
            tokens, _ = await whole(generation)
            assert 1 <= tokens <= max_tokens
            assert (generation.completion_tokens or tokens) <= max_tokens

    async def test_a_prompt_is_counted_before_anything_is_written_and_never_grows(self, engine: Engine) -> None:
        generation = await engine.prepare(self.request(engine))
        first = generation.prompt_tokens
        assert first > 0
        await whole(generation)
        assert 0 <= generation.prompt_tokens <= first

    async def test_the_same_greedy_request_gives_the_same_reply(self, engine: Engine) -> None:
        replies = [await whole(await engine.prepare(self.request(engine))) for _ in range(2)]
        assert replies[0] == replies[1]

    async def test_a_reply_that_is_left_gives_its_place_back(self, engine: Engine) -> None:
        for _ in range(20):
            generation = await engine.prepare(self.request(engine))
            async with aclosing(generation.stream()) as chunks:  # type: ignore[type-var]
                async for _chunk in chunks:
                    break
            await generation.close()
            await generation.close()

    async def test_a_place_that_was_not_used_is_given_back(self, engine: Engine) -> None:
        for _ in range(20):
            await (await engine.prepare(self.request(engine))).close()

    async def test_an_unknown_model_is_unavailable(self, engine: Engine) -> None:
        request = GenerationRequest(model=ModelId("no-such-model"), turns=(Turn(Role.USER, "Hi"),), max_tokens=1)
        with pytest.raises(ModelUnavailable):
            await engine.prepare(request)


async def whole(generation: Generation) -> tuple[int, str]:
    """Return the tokens and the text of a whole reply, and give its place back."""
    tokens, text = 0, ""
    async with asyncio.timeout(TIMEOUT_S):
        async for chunk in generation.stream():
            assert chunk.tokens >= 0
            tokens, text = tokens + chunk.tokens, text + chunk.text
    await generation.close()
    return tokens, text
