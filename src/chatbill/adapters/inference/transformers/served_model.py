"""Serve one local model: load it, answer requests, unload it, reload it, and replace its thread when it is stuck."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.availability.model_availability import STOPPING, ModelAvailability, probe_request
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.generation import Probe, ThreadedGeneration
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.memory_manager import MemoryManager
from chatbill.adapters.inference.transformers.model_loader import ModelLoader
from chatbill.adapters.inference.transformers.runtime import LocalModel, Runtime
from chatbill.adapters.inference.transformers.worker import Worker
from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.adapters.inference.window import Fitted, Window, fit_window
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import UserId

_CLOSE_WAIT_S = 10.0

_log = structlog.get_logger(__name__)


class ServedModel:
    """One model, loaded when it is needed and unloaded when another one needs its memory.

    `prepare` is for event loops, `check` for the watchdog, `unload` for the threads of other models. One lock guards
    their shared state and is held only briefly. A request takes a place in the queue first, and a
    model with a taken place is never unloaded.
    """

    def __init__(
        self,
        spec: ModelSpec,
        library: ModelLibrary,
        memory: MemoryManager,
        availability: ModelAvailability,
        *,
        runtime: Callable[[], Runtime],
        limits: ModelLimits,
        slots: int,
        report: Callable[[Progress], None],
    ) -> None:
        self.spec = spec
        self.fit: Fit | None = None
        self.last_used_at = time.monotonic()
        self._loader = ModelLoader(spec, library, memory, runtime=runtime, limits=limits, slots=slots, report=report)
        self._limits = limits
        self._slots = slots
        self._availability = availability
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._probe_prompt: tuple[int, ...] = ()
        self._was_lost = False
        self._missing: Description | None = None
        self._look_for_files()
        # One thread, because two must not use a tokenizer at once; not the loop's, because a long prompt takes long.
        self._tokenizing = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"tokenize-{spec.id}")

    def status(self) -> ModelStatus:
        """Return its present state."""
        with self._lock:
            worker = self._worker
        state, reason = ModelState.READY, None
        if worker is None or (worker.settled and not worker.model and self._loader.wants_room):
            state = ModelState.UNAVAILABLE if self._missing else ModelState.RESTING
            return self._availability.status(state, self._missing)
        if not worker.settled:
            state, reason = ModelState.LOADING, Description("model_loading", self._loader.progress)
        elif not worker.model:
            state, reason = ModelState.UNAVAILABLE, worker.reason
        in_use = self.fit.need.weights_bytes + self.prefix_bytes if self.fit else 0
        return self._availability.status(
            state, reason, running=worker.running, lost=self._was_lost, memory_bytes=in_use
        )

    def begin(self, *, after: Worker | None = None) -> Worker:
        """Start to load it, unless that was done before; wait until the attempt of `after` has ended."""
        with self._lock:
            return self._worker or self._load(wait_for_room_s=0.0, after=after)

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return a place, once the model is in memory; see the port."""
        place = object()
        worker = self._take(place, request.owner)
        try:
            window = Window.of(request, limit=self.spec.context_tokens, max_reply_tokens=self.spec.max_reply_tokens)
            fitted = await self._fitted(request, window, worker)
        except BaseException:
            self._give_back(place)
            raise
        return ThreadedGeneration(
            request,
            tuple(fitted.prompt),
            max_tokens=window.reply_tokens(len(fitted.prompt)),
            dropped_turns=fitted.dropped_turns,
            submit=worker.submit,
            give_back=lambda _generation: self._give_back(place),
        )

    def check(self) -> None:
        """Load, probe or replace the model if that is due, and return at once."""
        with self._lock:
            worker = self._worker
            if self._availability.closed:
                return
            if worker and worker.settled and not worker.model:
                self._retry_if_due(worker)
                return
        if worker and worker.model:
            worker.model.prefixes.drop_expired()
        if worker is None:
            self._look_for_files()  # without the lock, because a disk can hang
        elif not worker.settled:
            if self._loader.is_stalled:
                after_s = self._limits.load_timeout_s
                worker.abandon(Description("model_load_stalled", {"after_s": after_s, **self._loader.progress}))
        elif worker.busy:
            # The tokens of its replies show more than a probe, which would delay them.
            if time.monotonic() - worker.last_progress_at > self._limits.stuck_after_s:
                self._replace(worker)
        elif not worker.health.probe_in_s:
            worker.submit(Probe(self.spec.id, self._probe_prompt))

    @property
    def prefix_bytes(self) -> int:
        """Return the memory that keeps what it has read."""
        worker = self._worker
        model = worker.model if worker else None
        return model.prefixes.size_bytes if model else 0

    def give_up_prefixes(self) -> bool:
        """Free that memory for as long as it is loaded, and return True; return False where none was reserved."""
        with self._lock:
            model = self._worker.model if self._worker else None
            if not model or not self.fit or not self.fit.prefix_bytes:
                return False
            self.fit = replace(self.fit, prefix_bytes=0)
            model.prefixes.limit(0)
            return True

    def drop_prefixes(self) -> None:
        """Free that memory now. What is read from then on is kept as before."""
        with self._lock:
            if self.fit and self._worker and (model := self._worker.model):
                model.prefixes.limit(0)
                model.prefixes.limit(self.fit.prefix_bytes, self._limits.prefix_ttl_s)

    def unload(self) -> bool:
        """Unload the model and return True; False while it has replies or is not in memory."""
        with self._lock:
            worker = self._worker
            if worker is None or not worker.settled or not worker.model or len(self._availability) or worker.busy:
                return False
            self._worker = self.fit = self._availability.health = None
        worker.close(wait_s=_CLOSE_WAIT_S)
        return True

    def close(self) -> None:
        """Stop within two tokens and free all memory. A closed model cannot be used again."""
        with self._lock:
            self._availability.closed = True
            worker = self._worker
        if worker:
            worker.close(wait_s=_CLOSE_WAIT_S)
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    def _take(self, place: object, owner: UserId | None) -> Worker:
        """Take a place in the queue, and start to load the model if it is not in memory."""
        with self._lock:
            worker = self._worker
            if worker and worker.settled and not worker.model and not self._availability.closed:
                if worker.is_stuck or not self._loader.is_due:
                    raise ModelUnavailable(self.spec.id, worker.reason or STOPPING)
                worker = None
            self._availability.at_once = self.fit.slots if self.fit else self._slots
            self._availability.take(place, owner, mean_reply_s=worker.mean_reply_s if worker else 1.0)
            self.last_used_at = time.monotonic()
            return worker or self._load(wait_for_room_s=self._limits.load_wait_s)

    def _look_for_files(self) -> None:
        """Record whether its files exist, so that a request can load it."""
        missing = self._loader.missing()
        if missing and not self._missing:
            _log.warning("model_unavailable", model=self.spec.id, reason=str(missing))
        self._missing = missing.reason if missing else None

    def _give_back(self, place: object) -> None:
        with self._lock:
            self._availability.give_back(place)
            self.last_used_at = time.monotonic()

    async def _fitted(self, request: GenerationRequest, window: Window, worker: Worker) -> Fitted[Sequence[int]]:
        """Wait for the model, within bounds, and count the prompt with its tokenizer."""
        try:
            await asyncio.wait_for(worker.wait_until_settled(), self._limits.load_wait_s)
        except TimeoutError:
            raise ModelUnavailable(self.spec.id, Description("model_still_loading", self._loader.progress)) from None
        model = worker.model
        if model is None:
            raise ModelUnavailable(self.spec.id, worker.reason or STOPPING)
        return await asyncio.get_running_loop().run_in_executor(
            self._tokenizing, lambda: fit_window(request.turns, encode=model.encode, window=window)
        )

    def _load(self, *, wait_for_room_s: float, after: Worker | None = None) -> Worker:
        """Start a worker that loads the model. The caller holds the lock."""
        self._loader.begin()
        worker = Worker(
            self.spec.id,
            loading=lambda: self._loader.load(
                wait_for_room_s=wait_for_room_s,
                after=lambda: after is None or after.settled,
                loaded=lambda model, fit: self._loaded(worker, model, fit),
            ),
            explain=self._explain,
            health=self._limits.health(),
            slots=self._slots,
        )
        self._worker, self._availability.health = worker, None
        worker.start()
        return worker

    def _loaded(self, worker: Worker, model: LocalModel, fit: Fit) -> None:
        """Record that the model is in memory, unless its thread was abandoned. Runs on the worker's thread."""
        probe_prompt = tuple(model.encode(probe_request(self.spec.id).turns))
        with self._lock:
            if worker.settled:
                return
            model.prefixes.limit(fit.prefix_bytes, self._limits.prefix_ttl_s)
            worker.slots, self._probe_prompt = fit.slots, probe_prompt
            worker.health.record_token()
            self.fit, self._availability.health = fit, worker.health
            self._was_lost = False

    def _explain(self, error: Exception) -> Description:
        """Return why the model is not available, for people. Runs on the worker's thread."""
        cause = self._loader.explain(error)
        with self._lock:
            return Description("model_not_reloaded", {"cause": cause.code, **cause.params}) if self._was_lost else cause

    def _retry_if_due(self, worker: Worker) -> None:
        """Load the model again after a failure, once the last attempt has ended. The caller holds the lock."""
        if worker.is_stuck or not self._loader.should_be_tried():
            return
        if self.spec.lazy and not self._was_lost:
            self._worker = None
        else:
            self._load(wait_for_room_s=0.0)

    def _replace(self, worker: Worker) -> None:
        """Abandon a thread that is stuck and load the model anew, if it fits beside the memory of the old one."""
        with self._lock:
            if self._availability.closed or self._worker is not worker:
                return
            if worker.model:
                worker.model.prefixes.limit(0)
            self._was_lost, self.fit = True, None
            self._load(wait_for_room_s=self._limits.load_wait_s)
        worker.abandon(Description.of("model_stuck", after_s=self._limits.stuck_after_s))
