"""The way of one model into memory: fetched, given room, and loaded; or why not, and when that is tried again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import structlog

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.health import LifeBounds
from chatbill.adapters.inference.transformers.loading_progress import watching_load, words_of
from chatbill.adapters.inference.transformers.memory_manager import DoesNotFit, MemoryManager, NoRoom, NoTurn
from chatbill.adapters.inference.transformers.runtime import LocalModel, NotLoadable, Runtime
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress
from chatbill.adapters.inference.weights.library import ModelLibrary

_POLL_S = 0.02
_MOST_RETRIES = 4
"""Pauses between attempts to load double up to 16 times the first."""

_log = structlog.get_logger(__name__)


class ModelLoader:
    """Brings a model into memory, as often as it takes, but never twice at once.

    `load` and `explain` are for the model's thread; the rest is for anybody and returns at once.
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
        report: Callable[[Progress], None],
    ) -> None:
        self._spec = spec
        self._library = library
        self._residency = residency
        self._runtime = runtime
        self._bounds = bounds
        self._slots = slots
        self._report = report
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._moved_at = time.monotonic()
        self._problem: Exception | None = None
        self._attempts = 0
        self._retry_at = 0.0

    @property
    def words(self) -> str:
        """How far it is, for people."""
        return words_of(self._progress)

    @property
    def wants_room(self) -> bool:
        """True where it only lacks the room that another model takes now."""
        return isinstance(self._problem, NoRoom)

    @property
    def is_due(self) -> bool:
        """True where it may be tried again."""
        return self.wants_room or time.monotonic() >= self._retry_at

    @property
    def is_stalled(self) -> bool:
        """True where it has not got further for too long, and not because it waits for another model."""
        with self._lock:
            waits = self._progress is not None and self._progress.stage == "turn"
            return not waits and time.monotonic() - self._moved_at > self._bounds.load_timeout_s

    def begin(self) -> None:
        """Forget how it went the last time."""
        with self._lock:
            self._progress = self._problem = None
            self._moved_at = time.monotonic()

    def load(
        self,
        *,
        wait_for_room_s: float,
        after: Callable[[], bool],
        arrived: Callable[[LocalModel, Fit], None],
    ) -> LocalModel:
        """Fetch, wait until `after` is true and for this model's turn, make room, load.

        `arrived` is called before the next model's turn, which counts on what this one takes.
        """
        runtime = self._runtime()
        self._residency.check(self._spec, runtime)  # before tens of gigabytes are fetched for nothing
        folder = self._library.ensure(self._spec, self._tell)
        self._note(Progress("turn"))
        while not after():
            time.sleep(_POLL_S)
        with self._residency.turn(wait_s=self._bounds.load_timeout_s):
            self._note(Progress("room"))
            fit = self._residency.make_room(self._spec, runtime, wait_s=wait_for_room_s)
            self._tell(Progress("load"))
            free = lambda: self._residency.free_bytes(self._spec, runtime)  # noqa: E731 - read beside its one use
            with watching_load(free, fit.need.weights_bytes, self._tell):
                model = runtime.load(self._spec, folder)
            if fit.slots < self._slots:
                _log.warning(
                    "model_writes_fewer_replies_at_once", model=self._spec.id, slots=fit.slots, reason=fit.words
                )
            arrived(model, fit)
            self._attempts = 0
        self._tell(Progress("ready"))
        return model

    def missing(self) -> ModelNotFetched | None:
        """What makes it useless to try, as far as a look at its folder tells."""
        return self._library.missing(self._spec)

    def explain(self, error: Exception) -> str:
        """Why it is not available, for people; from now on it is known when it may be tried again."""
        pause = self._bounds.retry_s
        if isinstance(error, NotLoadable):
            pause = math.inf
        elif not isinstance(error, DoesNotFit):
            pause *= 2 ** min(self._attempts, _MOST_RETRIES)
        with self._lock:
            self._problem, self._retry_at = error, time.monotonic() + pause
            self._attempts += 1
        return _words(error)

    def should_be_tried(self) -> bool:
        """Whether it is time to try again what went wrong, unasked."""
        if self.wants_room or not self.is_due:
            return False
        if isinstance(self._problem, DoesNotFit) and not self._would_fit():
            with self._lock:
                self._retry_at = time.monotonic() + self._bounds.retry_s
            return False
        return True

    def _would_fit(self) -> bool:
        try:
            self._residency.check(self._spec, self._runtime())
        except DoesNotFit:
            return False
        return True

    def _tell(self, progress: Progress) -> None:
        self._note(progress)
        self._report(progress)

    def _note(self, progress: Progress) -> None:
        with self._lock:
            before, self._progress = self._progress, progress
            # How much memory a load has taken is a guess that other processes move too, so it proves no life.
            if before is None or progress.stage != before.stage or (progress != before and progress.stage != "load"):
                self._moved_at = time.monotonic()


def _words(error: Exception) -> str:
    """Why a model is not available, for people; an error that nobody foresaw stays in the log."""
    if isinstance(error, ModelNotFetched):
        return error.told
    if isinstance(error, NotLoadable | DoesNotFit | NoRoom | NoTurn):
        return str(error)
    return f"it could not be loaded ({type(error).__name__}); the log has the cause"
