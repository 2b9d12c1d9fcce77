"""One model as people see it: in memory or not, loading or not, how many places it has, and why it cannot answer."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.generation import ThreadedGeneration
from chatbill.adapters.inference.transformers.health import Health, LifeBounds, Verdict
from chatbill.adapters.inference.transformers.memory_manager import MemoryManager
from chatbill.adapters.inference.transformers.model_loader import ModelLoader
from chatbill.adapters.inference.transformers.probe import PROBE_TURNS, Probe
from chatbill.adapters.inference.transformers.runtime import LocalModel, Runtime
from chatbill.adapters.inference.transformers.worker import STOPPING, Worker
from chatbill.adapters.inference.weights.fetch import Progress
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.adapters.inference.window import fit_window
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelState, ModelStatus
from chatbill.domain.shared.errors import GenerationFailed, ModelUnavailable, Overloaded
from chatbill.domain.shared.ids import ModelId

_CLOSE_WAIT_S = 10.0

_log = structlog.get_logger(__name__)


class ServedModel:
    """One model and its life: it arrives, may leave and come back, is tried, and is replaced when it is stuck.

    `prepare` and `ready` are for event loops, `look` for the watchdog, `leave` for the threads of other models. What
    they share is guarded by one lock that is held for moments only. A request has its place before anything is waited
    for, and a model with a place taken never leaves.
    """

    def __init__(
        self,
        spec: ModelSpec,
        library: ModelLibrary,
        residency: MemoryManager,
        *,
        runtime: Callable[[], Runtime],
        bounds: LifeBounds,
        slots: int,
        max_queued: int,
        report: Callable[[Progress], None],
    ) -> None:
        self.spec = spec
        self.fit: Fit | None = None
        self.last_used_at = time.monotonic()
        self._arrival = ModelLoader(
            spec, library, residency, runtime=runtime, bounds=bounds, slots=slots, report=report
        )
        self._bounds = bounds
        self._slots = slots
        self._max_queued = max_queued
        self._lock = threading.Lock()
        self._places: set[object] = set()
        self._worker: Worker | None = None
        self._health = Health(bounds)
        self._probe_prompt: tuple[int, ...] = ()
        self._lost = False
        self._closed = False
        self._missing = ""
        self._look_for_files()
        # One thread, because two must not use a tokenizer at once; not the loop's, because a long prompt takes long.
        self._tokenizing = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"tokenize-{spec.id}")

    @property
    def id(self) -> ModelId:
        """Its name."""
        return self.spec.id

    def status(self) -> ModelStatus:
        """How it stands; returns at once."""
        with self._lock:
            worker, places = self._worker, len(self._places)
        if self._closed:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=STOPPING)
        if worker is None or (worker.settled and not worker.model and self._arrival.wants_room):
            state = ModelState.UNAVAILABLE if self._missing else ModelState.RESTING
            return ModelStatus(state=state, reason=self._missing)
        queued = max(0, places - worker.running)
        if not worker.settled:
            return ModelStatus(
                state=ModelState.LOADING, reason=self._arrival.words, queued=queued, healthy=not self._lost
            )
        if not worker.model:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=worker.reason, healthy=not self._lost)
        if self._health.is_taken_out(worker):
            return ModelStatus(
                state=ModelState.UNAVAILABLE,
                reason=f"it failed {worker.failures} times in a row; it comes back once a trial works",
                running=worker.running,
                queued=queued,
            )
        healthy = self._health.is_vouched_for
        return ModelStatus(state=ModelState.READY, running=worker.running, queued=queued, healthy=healthy)

    def begin(self, *, after: Worker | None = None) -> Worker:
        """Load it at start, unless that was begun before, once `after` has its model or is known to have none."""
        with self._lock:
            return self._worker or self._bring(wait_for_room_s=0.0, after=after)

    async def prepare(self, request: GenerationRequest) -> Generation:
        """A place, once the model is in memory; see the port."""
        place = object()
        worker = self._take(place)
        try:
            prompt = await self._prompt(request, worker)
        except BaseException:
            self._give_back(place)
            raise
        return ThreadedGeneration(
            request,
            prompt,
            max_tokens=self._room(request),
            submit=worker.submit,
            give_back=lambda: self._give_back(place),
        )

    def look(self) -> None:
        """Do what has to be done from time to time; returns at once."""
        with self._lock:
            worker = self._worker
            if self._closed:
                return
            if worker and worker.settled and not worker.model:
                self._retry_if_due(worker)
                return
        if worker is None:
            self._look_for_files()  # not while others wait for the lock: a disk can hang
            return
        if not worker.settled:
            if self._arrival.is_stalled:
                worker.abandon(
                    f"its loading has not got further for {self._bounds.load_timeout_s:g} s ({self._arrival.words}); "
                    "it is loaded again once that comes to an end, or when the service is restarted"
                )
            return
        match self._health.look(worker):
            case Verdict.PROBE:
                worker.submit(Probe(self.id, self._probe_prompt, heard=self._heard))
            case Verdict.REPLACE:
                self._replace(worker)
            case Verdict.NOTHING:
                pass

    def leave(self) -> bool:
        """Let the model go, if nothing is asked of it."""
        with self._lock:
            worker = self._worker
            if worker is None or not worker.settled or not worker.model or self._places or worker.busy:
                return False
            self._worker = self.fit = None
        worker.close(wait_s=_CLOSE_WAIT_S)
        return True

    def close(self) -> None:
        """Stop within two tokens and free all memory; for good."""
        with self._lock:
            self._closed = True
            worker = self._worker
        if worker:
            worker.close(wait_s=_CLOSE_WAIT_S)
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    def _take(self, place: object) -> Worker:
        """Enter the queue; a model that is not in memory is asked to come."""
        with self._lock:
            if self._closed:
                raise ModelUnavailable(self.id, STOPPING)
            worker = self._worker
            if worker and worker.settled and not worker.model:
                if worker.is_stuck or not self._arrival.is_due:
                    raise ModelUnavailable(self.id, worker.reason)
                worker = None
            if worker and self._health.is_taken_out(worker):
                raise ModelUnavailable(self.id, f"it failed {worker.failures} times in a row; try again in a moment")
            slots = self.fit.slots if self.fit else self._slots
            if len(self._places) >= slots + self._max_queued:
                mean_s = worker.mean_reply_s if worker else 1.0
                raise Overloaded(retry_after_s=math.ceil(mean_s * len(self._places) / slots / 2))
            self._places.add(place)
            self.last_used_at = time.monotonic()
            return worker or self._bring(wait_for_room_s=self._bounds.load_wait_s)

    def _look_for_files(self) -> None:
        """Where it is not in memory: could a message bring it there?"""
        missing = self._arrival.missing()
        if missing and not self._missing:
            _log.warning("model_unavailable", model=self.id, reason=str(missing))
        self._missing = missing.told if missing else ""

    def _give_back(self, place: object) -> None:
        with self._lock:
            self._places.discard(place)
            self.last_used_at = time.monotonic()

    async def _prompt(self, request: GenerationRequest, worker: Worker) -> tuple[int, ...]:
        """Wait for the model, within bounds, and count the prompt with its tokenizer."""
        try:
            await asyncio.wait_for(worker.wait_until_settled(), self._bounds.load_wait_s)
        except TimeoutError:
            reason = f"{self._arrival.words}; try again in a moment"
            raise ModelUnavailable(self.id, reason) from None
        model = worker.model
        if model is None:
            raise ModelUnavailable(self.id, worker.reason)
        # The place is taken before the prompt is read, so that a burst cannot pass the bound meanwhile.
        budget = self.spec.context_tokens - self._room(request)
        return await asyncio.get_running_loop().run_in_executor(
            self._tokenizing, lambda: tuple(fit_window(request.turns, encode=model.encode, budget=budget))
        )

    def _room(self, request: GenerationRequest) -> int:
        return min(request.max_tokens, self.spec.max_reply_tokens)

    def _bring(self, *, wait_for_room_s: float, after: Worker | None = None) -> Worker:
        """Begin to load; the lock is held."""
        self._arrival.begin()
        worker = Worker(
            self.id,
            loading=lambda: self._arrival.load(
                wait_for_room_s=wait_for_room_s,
                after=lambda: after is None or after.settled,
                arrived=lambda model, fit: self._arrived(worker, model, fit),
            ),
            explain=self._explain,
            slots=self._slots,
        )
        self._worker = worker
        worker.start()
        return worker

    def _arrived(self, worker: Worker, model: LocalModel, fit: Fit) -> None:
        """On the worker's thread: it is in memory, unless it was given up by now."""
        probe_prompt = tuple(model.encode(PROBE_TURNS))
        with self._lock:
            if worker.settled:
                return
            worker.slots, self._probe_prompt = fit.slots, probe_prompt
            self.fit, self._health = fit, Health(self._bounds)
            self._lost = False

    def _explain(self, error: Exception) -> str:
        """Why it is not available, for people; on the worker's thread."""
        words = self._arrival.explain(error)
        with self._lock:
            return f"it stopped answering and could not be loaded again: {words}" if self._lost else words

    def _retry_if_due(self, worker: Worker) -> None:
        """Try again what could not be loaded, once nothing of the last attempt runs any more; the lock is held."""
        if worker.is_stuck or not self._arrival.should_be_tried():
            return
        if self.spec.lazy and not self._lost:
            self._worker = None
        else:
            self._bring(wait_for_room_s=0.0)

    def _replace(self, worker: Worker) -> None:
        """Give up a thread that is stuck and load the model anew, if it fits beside what the old one holds."""
        words = f"it stopped answering for {self._bounds.stuck_after_s:g} s and is being loaded again"
        with self._lock:
            if self._closed or self._worker is not worker:
                return
            self._lost, self.fit = True, None
            self._bring(wait_for_room_s=self._bounds.load_wait_s)
        worker.abandon(words)

    def _heard(self, failure: GenerationFailed | None) -> None:
        self._health.heard(works=failure is None)
