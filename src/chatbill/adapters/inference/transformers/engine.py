"""Run every model of the catalogue in this process, each on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

import structlog

from chatbill.adapters.inference.availability.heap import return_freed_memory
from chatbill.adapters.inference.availability.model_availability import UNKNOWN, ModelAvailability
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.memory_manager import MemoryManager, SharedMemory
from chatbill.adapters.inference.transformers.runtime import Device, Runtime
from chatbill.adapters.inference.transformers.served_model import ServedModel
from chatbill.adapters.inference.transformers.worker import Worker
from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelStatus
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId

_log = structlog.get_logger(__name__)

ModelReport: TypeAlias = Callable[[ModelId, Progress], None]


def torch_runtime(device: Device | None = None) -> Runtime:
    """Return a runtime that uses torch. The import takes seconds, so the thread of a model calls this function."""
    from chatbill.adapters.inference.transformers.loading import TorchRuntime  # noqa: PLC0415 - see above

    return TorchRuntime(device)


class TransformersEngine:
    """Answers with models loaded by Transformers.

    Each model writes up to `slots` replies together (at least 1), fewer where memory is short, and lets at most
    `max_queued` others wait; one more is `Overloaded`. One owner may take `share_percent` of that queue. Models share
    the memory: those that fit stay loaded, and idle ones are unloaded for one that is needed; so do those of other
    engines with the same `shared`. `report` gets the progress of each model, on other threads.
    """

    name = "transformers"

    def __init__(  # noqa: PLR0913 - most have a default
        self,
        specs: Iterable[ModelSpec],
        library: ModelLibrary,
        *,
        runtime: Callable[[], Runtime] = torch_runtime,
        slots: int = 8,
        max_queued: int = 100,
        share_percent: int = 100,
        limits: ModelLimits | None = None,
        shared: SharedMemory | None = None,
        report: ModelReport = lambda _model, _progress: None,
    ) -> None:
        limits = limits or ModelLimits()
        memory = MemoryManager(library, slots=slots, prefix_bytes=limits.prefix_bytes, shared=shared)
        made_once = _LazyRuntime(runtime)
        self._models = {
            spec.id: ServedModel(
                spec,
                library,
                memory,
                ModelAvailability(spec.id, at_once=slots, max_queued=max_queued, share_percent=share_percent),
                runtime=made_once,
                limits=limits,
                slots=slots,
                report=partial(report, spec.id),
            )
            for spec in specs
        }
        memory.add(*self._models.values())
        self._check_interval_s = limits.check_interval_s
        self._closed = threading.Event()

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Return the status of each model."""
        return {model: served.status() for model, served in self._models.items()}

    async def start(self) -> None:
        """Fetch, load and warm up all models that are not lazy, in the order of the catalogue."""
        workers: list[Worker] = []
        for served in self._models.values():
            if not served.spec.lazy:
                workers.append(served.begin(after=workers[-1] if workers else None))
        # The watchdog starts before the models are loaded, because a model can also hang while it is loaded.
        threading.Thread(target=self._watch, name="model-watchdog", daemon=True).start()
        await asyncio.gather(*(worker.wait_until_settled() for worker in workers))

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Count the prompt with the model's own tokenizer. A model that is not in memory is loaded here."""
        served = self._models.get(request.model)
        if served is None:
            raise ModelUnavailable(request.model, UNKNOWN)
        return await served.prepare(request)

    async def free_memory(self) -> None:
        """Drop what was read of conversations, and unload models without replies."""
        for served in self._models.values():
            served.drop_prefixes()
            await asyncio.to_thread(served.unload)
        await asyncio.to_thread(return_freed_memory)

    async def close(self) -> None:
        """Stop all threads and free all memory. This takes a few seconds at most."""
        self._closed.set()
        await asyncio.gather(*(asyncio.to_thread(served.close) for served in self._models.values()))

    def _watch(self) -> None:
        """Check every model at intervals; no check waits for a model."""
        while not self._closed.wait(self._check_interval_s):
            for served in self._models.values():
                try:
                    served.check()
                except Exception:  # noqa: BLE001 - no error may end the checks
                    _log.exception("watchdog_failed", model=served.spec.id)


class _LazyRuntime:
    """Makes the runtime on the first thread that needs it."""

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Runtime | None = None

    def __call__(self) -> Runtime:
        with self._lock:
            self._made = self._made or self._make()
            return self._made
