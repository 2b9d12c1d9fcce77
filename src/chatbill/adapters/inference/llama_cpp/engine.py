"""Run GGUF files with llama.cpp, each model in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from chatbill.adapters.inference.availability.model_availability import UNKNOWN
from chatbill.adapters.inference.llama_cpp.memory import Memory
from chatbill.adapters.inference.llama_cpp.served_file import GgufModel, ServedFile
from chatbill.adapters.inference.openai.server import Timeouts
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.memory_manager import SharedMemory
from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelStatus
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId

ModelReport: TypeAlias = Callable[[ModelId, Progress], None]


class LlamaCppEngine:
    """Answers with GGUF files that llama.cpp runs, in a child process for each model.

    Each model writes up to `slots` replies together (at least 1), fewer where memory is short, and lets at most
    `max_queued` others wait; one more is `Overloaded`. One owner may take `share_percent` of that queue. Models share
    the memory: those that fit stay loaded, and idle ones are unloaded for one that is needed; so do those of other
    engines with the same `shared`. A reply has `first_token_s` to begin and `whole_s` to end. `report` gets the
    progress of each model. Belongs to one event loop.
    """

    name = "llama_cpp"

    def __init__(  # noqa: PLR0913 - most have a default
        self,
        models: Iterable[GgufModel],
        *,
        slots: int = 8,
        max_queued: int = 100,
        share_percent: int = 100,
        limits: ModelLimits | None = None,
        shared: SharedMemory | None = None,
        first_token_s: float = 60.0,
        whole_s: float = 120.0,
        report: ModelReport = lambda _model, _progress: None,
    ) -> None:
        limits = limits or ModelLimits()
        memory = Memory(slots=slots, shared=shared)
        # A process that crashed starts again by itself, and its replies are not asked for twice.
        timeouts = Timeouts(
            first_token_s=first_token_s,
            probe_timeout_s=limits.stuck_after_s,
            between_tokens_s=limits.stuck_after_s,
            whole_s=whole_s,
            tries=1,
        )
        self._models = {
            model.spec.id: ServedFile(
                model,
                memory,
                slots=slots,
                max_queued=max_queued,
                share_percent=share_percent,
                limits=limits,
                timeouts=timeouts,
                report=partial(report, model.spec.id),
            )
            for model in models
        }
        memory.add(*self._models.values())
        self._check_interval_s = limits.check_interval_s
        self._watching: asyncio.Task[None] | None = None

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the status of each model."""
        return {model: served.status() for model, served in self._models.items()}

    async def start(self) -> None:
        """Load all models that are not lazy."""
        eager = [served.supervisor for served in self._models.values() if not served.spec.lazy]
        for supervisor in eager:
            supervisor.begin(wait_for_room_s=0.0)
        self._watching = asyncio.create_task(self._watch(), name="watch llama.cpp")
        await asyncio.gather(*(supervisor.wait_until_settled() for supervisor in eager))

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Count the prompt with the model's own tokenizer. A model that is not in memory is loaded here."""
        served = self._models.get(request.model)
        if served is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        return await served.prepare(request)

    async def free_memory(self) -> None:
        """End the processes of models without replies. A model that writes keeps what it has read."""
        for served in self._models.values():
            await asyncio.to_thread(served.unload)

    async def close(self) -> None:
        """End all processes. This takes a few seconds at most."""
        if self._watching:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await asyncio.gather(*(served.close() for served in self._models.values()))

    async def _watch(self) -> None:
        """Try models again that could not be loaded."""
        while True:
            await asyncio.sleep(self._check_interval_s)
            for served in self._models.values():
                served.supervisor.retry_if_due()
