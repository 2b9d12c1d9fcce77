"""Combine several engines, each with models of its own, into one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chatbill.adapters.inference.availability.model_availability import UNKNOWN
from chatbill.application.ports.engine import Engine, FreesMemory, Generation, GenerationRequest, ModelStatus
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId


class RoutedEngine:
    """Passes each request to the engine that has its model. `order` has the models in the order of the catalogue."""

    def __init__(self, engines: Mapping[ModelId, Engine], *, order: Iterable[ModelId]) -> None:
        self._engine_of = dict(engines)
        self._engines = list({id(engine): engine for engine in self._engine_of.values()}.values())
        self._order = tuple(order)
        self.name = "+".join(engine.name for engine in self._engines)

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the status of each model, in the order of the catalogue."""
        statuses = {model: status for engine in self._engines for model, status in engine.status().items()}
        return {model: statuses[model] for model in self._order if model in statuses}

    async def start(self) -> None:
        """Start all engines together, so that a model on a server does not wait while another one is loaded here."""
        await asyncio.gather(*(engine.start() for engine in self._engines))

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Take a place in the queue of the model."""
        engine = self._engine_of.get(request.model)
        if engine is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        return await engine.prepare(request)

    async def free_memory(self) -> None:
        """Let each engine free its memory, if it can."""
        for engine in self._engines:
            if isinstance(engine, FreesMemory):
                await engine.free_memory()

    async def close(self) -> None:
        """Close all engines, even where closing one fails; then raise the first error."""
        results = await asyncio.gather(*(engine.close() for engine in self._engines), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
