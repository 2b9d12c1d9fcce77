"""An engine with the real demo model in a process of llama.cpp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Sampling
from chatbill.adapters.inference.llama_cpp import GgufModel, LlamaCppEngine
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId, UserId
from tests.kit.models import demo_gguf

MINI = ModelId("demo-mini")
ALICE, BOB = UserId("alice"), UserId("bob")
QUICK = ModelLimits(check_interval_s=0.05, retry_s=0.2)
SAMPLING = Sampling(temperature=0.0)
"""Greedy, without the catalogue's penalty, which looks at the prompt as well."""


def spec(**changes: Any) -> ModelSpec:
    """Return the demo model."""
    return replace(load_catalogue("demo")[0], **{"sampling": SAMPLING, **changes})


@dataclass
class Written:
    """A whole reply."""

    text: str
    tokens: int
    generation: Generation


@dataclass
class Scene:
    """An engine with one model."""

    engine: LlamaCppEngine

    @property
    def status(self) -> ModelStatus:
        return self.engine.status()[MINI]

    @property
    def processes(self) -> list[psutil.Process]:
        """Return the processes of llama.cpp that this one has started."""
        return [each for each in psutil.Process().children() if "child.py" in " ".join(each.cmdline())]

    async def prepare(self, *texts: str, owner: UserId | None = ALICE, **more: Any) -> Generation:
        """Ask for the reply to these turns, which are the user's and the model's by turns."""
        turns = tuple(Turn((Role.USER, Role.ASSISTANT)[number % 2], text) for number, text in enumerate(texts))
        settings = {"max_tokens": 8, "temperature": 0.0, "owner": owner, **more}
        return await self.engine.prepare(GenerationRequest(model=MINI, turns=turns, **settings))

    async def write(self, *texts: str, owner: UserId | None = ALICE, **more: Any) -> Written:
        """Return the whole reply to these turns."""
        generation = await self.prepare(*texts, owner=owner, **more)
        chunks = [chunk async for chunk in generation.stream()]
        return Written("".join(chunk.text for chunk in chunks), sum(chunk.tokens for chunk in chunks), generation)


@asynccontextmanager
async def scene(
    *, gguf: Callable[[], Path] = demo_gguf, slots: int = 2, limits: ModelLimits = QUICK, **changes: Any
) -> AsyncIterator[Scene]:
    """Yield an engine that was started, and close it."""
    engine = LlamaCppEngine([GgufModel(spec=spec(**changes), gguf=gguf)], slots=slots, limits=limits)
    await engine.start()
    try:
        yield Scene(engine)
    finally:
        await engine.close()
