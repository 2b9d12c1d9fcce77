"""The engines under contract, and requests to them."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace

import pytest

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Chunk, Engine, Generation, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId, UserId

MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
PLACES = 4
# A real model reads the directives as words.
LONG = "Tell me a long story about a fox and a bear. [[tokens:150]] [[pause:0.02]]"
SHORT = "What is the capital of France? Answer in one sentence."
ENGINES = [
    "scripted",
    "threads",
    "server",
    "cache",
    pytest.param("transformers", marks=[pytest.mark.model, pytest.mark.timeout(300)]),
]
with_cached = pytest.mark.parametrize("engine", [*ENGINES, "filled_cache"], indirect=True)
"""Marks tests that hold for cached replies, too, which need neither a place nor time."""


def cached(engine: Engine, kind: type[CachingEngine] = CachingEngine) -> CachingEngine:
    return kind(engine, ReplyCache(max_bytes=10_000_000, ttl_s=3_600), temperatures={}, identities={})


class EngineWithoutWaits(ScriptedEngine):
    """Writes the same as its parent, without the waits."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Remove the waits from the last message."""
        *before, last = request.turns
        at_once = Turn(last.role, re.sub(r"\[\[(sleep|pause):[\d.]+]]", "", last.text))
        return await super().prepare(replace(request, turns=(*before, at_once)))


class FilledCache(CachingEngine):
    """Has cached the reply to every request."""

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return the cached reply."""
        await chunks_of(await super().prepare(request))
        kept = await super().prepare(request)
        assert kept.cached
        return kept


def asked(
    text: str,
    *,
    model: ModelId = MINI,
    max_tokens: int = 30,
    stop: tuple[str, ...] = (),
    before: tuple[Turn, ...] = (),
    temperature: float | None = 0.0,
    owner: UserId = UserId("alice"),  # noqa: B008 - a name
) -> GenerationRequest:
    turns = (*before, Turn(Role.USER, text))
    return GenerationRequest(
        model=model, turns=turns, max_tokens=max_tokens, temperature=temperature, stop=stop, owner=owner
    )


async def chunks_of(generation: Generation) -> list[Chunk]:
    try:
        return [chunk async for chunk in generation.stream()]
    finally:
        await generation.close()


async def reply(engine: Engine, request: GenerationRequest) -> tuple[str, int]:
    chunks = await chunks_of(await engine.prepare(request))
    assert all(chunk.tokens >= 1 for chunk in chunks)
    return "".join(chunk.text for chunk in chunks), sum(chunk.tokens for chunk in chunks)


async def is_idle(engine: Engine, *, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        statuses = engine.status().values()
        if not any(status.running or status.queued for status in statuses):
            return True
        await asyncio.sleep(0.01)
    return False


async def was_cut_off(engine: Engine, request: GenerationRequest) -> bool:
    """Return what the engine says, or else what its tokens show."""
    generation = await engine.prepare(request)
    tokens = sum(chunk.tokens for chunk in await chunks_of(generation))
    return tokens == request.max_tokens if generation.cut_off is None else generation.cut_off
