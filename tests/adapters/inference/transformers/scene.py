"""An engine on a fake machine, and requests to its two models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest, ModelStatus
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.ids import ModelId
from chatbill.entrypoints.web.texts import render
from tests.adapters.inference.transformers.fake_runtime import FakeModel, FakeRuntime, fake_specs

MINI, PRO = ModelId("demo-mini"), ModelId("demo-pro")
GB = 1_000_000_000
NO_TEMPLATE = Description("model_without_chat_template")
BILLION = 1_000_000_000
"""Parameters of each fake: 2 GB of weights, and 0.7 GB to write 8 replies at once."""
ROOM_FOR_ONE, ROOM_FOR_BOTH = 4 * GB, 6 * GB
QUICK = ModelLimits(load_wait_s=5, probe_interval_s=0, stuck_after_s=60, retry_s=0.05, check_interval_s=0.01)


@dataclass
class ModelScene:
    """An engine on a fake machine."""

    engine: TransformersEngine
    runtime: FakeRuntime

    def status(self, model: ModelId = MINI) -> ModelStatus:
        return self.engine.status()[model]

    def reason(self, model: ModelId = MINI) -> str:
        return text(self.status(model))

    def fake(self, model: ModelId = MINI) -> FakeModel:
        return self.runtime.models[model]

    async def ask(self, text: str = "hello", model: ModelId = MINI) -> str:
        generation = await self.engine.prepare(asked(text, model))
        return "".join([chunk.text async for chunk in generation.stream()])


def text(status: ModelStatus) -> str:
    return render(status.reason) if status.reason else ""


def asked(text: str, model: ModelId = MINI) -> GenerationRequest:
    return GenerationRequest(model=model, turns=(Turn(Role.USER, text),), max_tokens=100)


@asynccontextmanager
async def model_scene(
    tmp_path: Path,
    runtime: FakeRuntime | None = None,
    *,
    limits: ModelLimits = QUICK,
    lazy: bool = False,
    slots: int = 8,
    max_queued: int = 100,
    start: bool = True,
) -> AsyncIterator[ModelScene]:
    runtime = runtime or FakeRuntime()
    specs = fake_specs(tmp_path / "model", parameters=BILLION, lazy=lazy)
    engine = TransformersEngine(
        specs, ModelLibrary(tmp_path), runtime=lambda: runtime, slots=slots, max_queued=max_queued, limits=limits
    )
    if start:
        await engine.start()
    try:
        yield ModelScene(engine, runtime)
    finally:
        runtime.hold.clear()
        runtime.hold_full.clear()
        for model in runtime.models.values():
            model.stuck.clear()
        await engine.close()
