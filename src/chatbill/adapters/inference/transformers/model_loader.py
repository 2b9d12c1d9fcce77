"""Load one model: fetch it, make room, and load it; or record why not, and when to try again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Weights
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.memory_manager import DoesNotFit, MemoryManager, NoRoom
from chatbill.adapters.inference.transformers.runtime import LoadError, LocalModel, NotLoadable, Runtime
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress, watching
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.domain.shared.descriptions import Description, Param

_POLL_S, _REPORT_S = 0.02, 0.5
_MOST_RETRIES = 4
"""Pauses between attempts to load double up to 16 times the first."""

_log = structlog.get_logger(__name__)


class ModelLoader:
    """Loads a model, and again after a failure, but never twice at once.

    `load` and `explain` are for the model's thread; the rest may be called from any thread and returns at once.
    """

    def __init__(
        self,
        spec: ModelSpec,
        library: ModelLibrary,
        memory: MemoryManager,
        *,
        runtime: Callable[[], Runtime],
        limits: ModelLimits,
        slots: int,
        report: Callable[[Progress], None],
    ) -> None:
        self._spec = spec
        self._library = library
        self._memory = memory
        self._runtime = runtime
        self._limits = limits
        self._slots = slots
        self._report = report
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._moved_at = time.monotonic()
        self._problem: Exception | None = None
        self._attempts = 0
        self._retry_at = 0.0

    @property
    def progress(self) -> dict[str, Param]:
        """Return the stage of loading and, where it is known, the percentage, as parameters of a description."""
        progress = self._progress or Progress("load")
        params: dict[str, Param] = {"stage": progress.stage}
        if progress.total_bytes and progress.stage in {"download", "load"}:
            params["percent"] = 100 * progress.done_bytes // progress.total_bytes
        return params

    @property
    def wants_room(self) -> bool:
        """True where it only lacks the memory that another model takes now."""
        return isinstance(self._problem, NoRoom)

    @property
    def is_due(self) -> bool:
        """True where it may be tried again."""
        return self.wants_room or time.monotonic() >= self._retry_at

    @property
    def is_stalled(self) -> bool:
        """True where it made no progress for too long, and not because it waits for another model."""
        with self._lock:
            waits = self._progress is not None and self._progress.stage == "turn"
            return not waits and time.monotonic() - self._moved_at > self._limits.load_timeout_s

    def begin(self) -> None:
        """Forget the result of the last attempt."""
        with self._lock:
            self._progress = self._problem = None
            self._moved_at = time.monotonic()

    def load(
        self,
        *,
        wait_for_room_s: float,
        after: Callable[[], bool],
        loaded: Callable[[LocalModel, Fit], None],
    ) -> LocalModel:
        """Fetch the model, wait until `after` is true and no other model loads, make room, and load it.

        `loaded` is called before the next model may load, because that one depends on the memory that this one takes.
        """
        runtime = self._runtime()
        self._memory.check(self._spec, runtime)  # before tens of gigabytes are fetched for nothing
        folder = self._library.ensure(self._spec, self._publish)
        self._note(Progress("turn"))
        while not after():
            time.sleep(_POLL_S)
        with self._memory.load_lock(wait_s=self._limits.load_timeout_s):
            self._note(Progress("room"))
            fit = self._memory.make_room(self._spec, runtime, wait_s=wait_for_room_s)
            if self._spec.weights is Weights.INT8 and runtime.device == "cpu":
                folder = self._quantized(folder, runtime)
                fit = self._memory.make_room(self._spec, runtime, wait_s=wait_for_room_s)
            self._publish(Progress("load"))
            with watching(self._load_measure(fit, runtime), self._publish, every_s=_REPORT_S):
                model = runtime.load(self._spec, folder)
            if fit.slots < self._slots:
                _log.warning(
                    "model_writes_fewer_replies_at_once",
                    model=self._spec.id,
                    slots=fit.slots,
                    reason=str(fit.description),
                )
            loaded(model, fit)
            self._attempts = 0
        self._publish(Progress("ready"))
        return model

    def missing(self) -> ModelNotFetched | None:
        """Return why an attempt would fail, as far as its folder tells."""
        return self._library.missing(self._spec)

    def explain(self, error: Exception) -> Description:
        """Record that an attempt failed, and when the next one may start; return why, for people."""
        pause = self._limits.retry_s
        if isinstance(error, NotLoadable):
            pause = math.inf
        elif not isinstance(error, DoesNotFit):
            pause *= 2 ** min(self._attempts, _MOST_RETRIES)
        with self._lock:
            self._problem, self._retry_at = error, time.monotonic() + pause
            self._attempts += 1
        return _reason(error)

    def should_be_tried(self) -> bool:
        """True where the next attempt may start without a request for it."""
        if self.wants_room or not self.is_due:
            return False
        if isinstance(self._problem, DoesNotFit) and not self._would_fit():
            with self._lock:
                self._retry_at = time.monotonic() + self._limits.retry_s
            return False
        return True

    def _quantized(self, folder: Path, runtime: Runtime) -> Path:
        """Return the folder of the int8 copy, made now if it is not here; without disk for it, the folder itself."""
        runtime.int8_products(self._library.root)
        try:
            return self._library.quantize(self._spec, runtime.quantize, self._publish)
        except (ModelNotFetched, OSError) as error:
            _log.warning("model_is_quantized_at_each_start", model=self._spec.id, reason=str(error))
            return folder

    def _load_measure(self, fit: Fit, runtime: Runtime) -> Callable[[], Progress]:
        """Return a measure of how much of the model is loaded: how much less memory is free than before.

        Other processes take and free memory too, so the figure is for display and no decision may depend on it.
        """
        total, before = fit.need.weights_bytes, self._memory.free_bytes(self._spec, runtime)

        def measure() -> Progress:
            taken = before - self._memory.free_bytes(self._spec, runtime)
            return Progress("load", min(max(0, taken), int(total * 0.99)), total)

        return measure

    def _would_fit(self) -> bool:
        try:
            self._memory.check(self._spec, self._runtime())
        except DoesNotFit:
            return False
        return True

    def _publish(self, progress: Progress) -> None:
        self._note(progress)
        self._report(progress)

    def _note(self, progress: Progress) -> None:
        with self._lock:
            before, self._progress = self._progress, progress
            # How much memory a load has taken is an estimate that other processes change too, so it shows no progress.
            if before is None or progress.stage != before.stage or (progress != before and progress.stage != "load"):
                self._moved_at = time.monotonic()


def _reason(error: Exception) -> Description:
    """Return why a model is not available, for people; the text of an unexpected error stays in the log."""
    if isinstance(error, ModelNotFetched | LoadError):
        return error.reason
    return Description.of("model_not_loaded", error=type(error).__name__)
