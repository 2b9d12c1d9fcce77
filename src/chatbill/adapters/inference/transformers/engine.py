"""The engine that runs every model of the catalogue in this process, each on a thread of its own."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from chatbill.adapters.inference.fetch import ModelNotFetched, Progress
from chatbill.adapters.inference.library import ModelLibrary
from chatbill.adapters.inference.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.generation import ThreadedGeneration
from chatbill.adapters.inference.transformers.runtime import Device, LocalModel, NotLoadable, Runtime
from chatbill.adapters.inference.transformers.worker import STOPPING, Worker
from chatbill.adapters.inference.window import fit_window
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.errors import ModelUnavailable, Overloaded
from chatbill.domain.ids import ModelId

ModelReport: TypeAlias = Callable[[ModelId, Progress], None]

_CLOSE_WAIT_S = 10.0


def torch_runtime(device: Device | None = None) -> Runtime:
    """Import torch and Transformers, which takes seconds; so engines do it on a model's thread."""
    from chatbill.adapters.inference.transformers.loading import TorchRuntime  # noqa: PLC0415 - see above

    return TorchRuntime(device)


class DoesNotFit(Exception):
    """The machine has too little memory for the model; the text has the figures."""


class TransformersEngine:
    """Answers with models loaded by Transformers.

    Each model writes up to `slots` replies together (at least 1) and lets at most `max_queued` others wait; one more is
    `Overloaded`. `report` hears of the progress of each model, on other threads than the caller's.
    """

    name = "transformers"

    def __init__(
        self,
        specs: Iterable[ModelSpec],
        library: ModelLibrary,
        *,
        runtime: Callable[[], Runtime] = torch_runtime,
        slots: int = 8,
        max_queued: int = 100,
        report: ModelReport = lambda _model, _progress: None,
    ) -> None:
        # Loading sets torch's default type for the whole process for a moment, and the memory that is free can only
        # be promised to one: so one model loads at a time. Fetching needs no turn.
        turn = threading.Lock()
        self._models = {
            spec.id: _ServedModel(
                spec, library, runtime=runtime, turn=turn, slots=slots, max_queued=max_queued, report=report
            )
            for spec in specs
        }

    def status(self) -> Mapping[ModelId, ModelStatus]:
        """Each model as it stands; a lazy one counts as ready before it is loaded, since it can be asked."""
        return {model: served.status() for model, served in self._models.items()}

    async def start(self) -> None:
        """Fetch, load and warm up all models that are not lazy."""
        eager = [served for served in self._models.values() if not served.spec.lazy]
        await asyncio.gather(*(served.ready() for served in eager))

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Count the prompt with the model's own tokenizer. A lazy model is loaded here."""
        served = self._models.get(request.model)
        if served is None:
            raise ModelUnavailable(request.model, "this engine does not have it")
        return await served.prepare(request)

    async def close(self) -> None:
        """Stop all threads and free all memory, within some seconds."""
        await asyncio.gather(*(asyncio.to_thread(served.close) for served in self._models.values()))


class _ServedModel:
    """One model: its worker, its queue's places, and the thread that tokenizes for it."""

    def __init__(
        self,
        spec: ModelSpec,
        library: ModelLibrary,
        *,
        runtime: Callable[[], Runtime],
        turn: threading.Lock,
        slots: int,
        max_queued: int,
        report: ModelReport,
    ) -> None:
        self.spec = spec
        self._library = library
        self._runtime = runtime
        self._turn = turn
        self._places: set[object] = set()
        self._slots = slots
        self._max_places = slots + max_queued
        self._report = report
        self._worker: Worker | None = None
        self._closed = False
        # One thread, because two must not use a tokenizer at once; not the loop's, because a long prompt takes long.
        self._tokenizing = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"tokenize-{spec.id}")

    def status(self) -> ModelStatus:
        worker = self._worker
        if self._closed:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=STOPPING)
        if worker is None:
            state = ModelState.READY if self.spec.lazy else ModelState.LOADING
            return ModelStatus(state=state, reason="" if self.spec.lazy else "not loaded yet")
        running = worker.running
        queued = max(0, len(self._places) - running)
        state = ModelState.READY if worker.model else ModelState.UNAVAILABLE
        if not worker.settled:
            state = ModelState.LOADING
        return ModelStatus(state=state, reason=worker.reason, running=running, queued=queued)

    async def ready(self) -> None:
        """Load the model unless it is loaded; return when it is, or is known to be unavailable."""
        if self._worker is None:
            self._worker = Worker(self.spec.id, loading=self._load, explain=_words, slots=self._slots)
            self._worker.start()
        await self._worker.wait_until_settled()

    async def prepare(self, request: GenerationRequest) -> Generation:
        if self._closed:
            raise ModelUnavailable(self.spec.id, STOPPING)
        if self.spec.lazy:
            await self.ready()
        worker = self._worker
        if worker is None or worker.model is None:
            raise ModelUnavailable(self.spec.id, self.status().reason)
        if len(self._places) >= self._max_places:
            raise Overloaded(retry_after_s=math.ceil(worker.mean_reply_s * self._max_places / self._slots / 2))
        # The place is taken before the prompt is read, so that a burst cannot pass the bound meanwhile.
        place = object()
        self._places.add(place)
        try:
            room = min(request.max_tokens, self.spec.max_reply_tokens)
            prompt = await asyncio.get_running_loop().run_in_executor(
                self._tokenizing, self._encode, worker.model, request, self.spec.context_tokens - room
            )
        except BaseException:
            self._places.discard(place)
            raise
        return ThreadedGeneration(
            request,
            prompt,
            max_tokens=room,
            submit=worker.submit,
            give_back=lambda: self._places.discard(place),
        )

    def close(self) -> None:
        self._closed = True
        if self._worker:
            self._worker.close(wait_s=_CLOSE_WAIT_S)
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    def _encode(self, model: LocalModel, request: GenerationRequest, budget: int) -> tuple[int, ...]:
        return tuple(fit_window(request.turns, encode=model.encode, budget=budget))

    def _load(self) -> LocalModel:
        """On the worker's thread: fetch, make sure that it fits, load."""
        runtime = self._runtime()
        self._check_memory(runtime)  # before tens of gigabytes are fetched for nothing
        folder = self._library.ensure(self.spec, self._reporter)
        with self._turn:
            self._check_memory(runtime)
            self._reporter(Progress("load"))
            model = runtime.load(self.spec, folder)
        self._reporter(Progress("ready"))
        return model

    def _check_memory(self, runtime: Runtime) -> None:
        fit = self._library.fits(self.spec, free_gpu_bytes=runtime.free_gpu_bytes())
        if not fit.fits:
            raise DoesNotFit(fit.words)

    def _reporter(self, progress: Progress) -> None:
        self._report(self.spec.id, progress)


def _words(error: Exception) -> str:
    """Why a model is not available, for people; an error that nobody foresaw stays in the log."""
    if isinstance(error, ModelNotFetched | NotLoadable | DoesNotFit):
        return str(error)
    return f"it could not be loaded ({type(error).__name__}); the log has the cause"
