"""A cache in front of an engine that counts what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chatbill.adapters.inference.caching.engine import CachingEngine, ReplyCache
from chatbill.adapters.inference.scripted import ScriptedEngine
from chatbill.application.ports.engine import Chunk, Generation, GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId, UserId
from tests.kit.support import CATALOGUE

MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
ALICE, BOB = UserId("alice"), UserId("bob")
MB = 1_000_000


@dataclass
class ManualTime:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class RecordingEngine(ScriptedEngine):
    """Adds the owner to each reply, and records the requests."""

    asked: list[GenerationRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(CATALOGUE)

    async def prepare(self, request: GenerationRequest) -> Generation:
        self.asked.append(request)
        own = Turn(Role.USER, f"{request.turns[-1].text} for {request.owner}")
        return await super().prepare(replace(request, turns=(*request.turns[:-1], own)))


def caching(
    engine: Any,
    *,
    max_bytes: int = MB,
    ttl_s: float = 60,
    shared: bool = False,
    temperatures: Mapping[ModelId, float | None] | None = None,
    now: ManualTime | None = None,
) -> CachingEngine:
    cache = ReplyCache(max_bytes=max_bytes, ttl_s=ttl_s, now=now or ManualTime())
    return CachingEngine(engine, cache, temperatures=temperatures or {}, identities={}, shared=shared)


def asked(text: str = "one two three", owner: UserId | None = ALICE, **changes: Any) -> GenerationRequest:
    fields: dict[str, Any] = {
        "model": MINI,
        "turns": (Turn(Role.USER, text),),
        "max_tokens": 20,
        "temperature": 0.0,
        "owner": owner,
    }
    return GenerationRequest(**fields | changes)


async def written(engine: CachingEngine, request: GenerationRequest) -> tuple[list[Chunk], bool]:
    generation = await engine.prepare(request)
    chunks = [chunk async for chunk in generation.stream()]
    await generation.close()
    return chunks, generation.cached
