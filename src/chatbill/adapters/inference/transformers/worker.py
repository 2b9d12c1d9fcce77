"""Run one model on a thread of its own: load it, write replies, and free it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import structlog

from chatbill.adapters.inference.availability.health import Health
from chatbill.adapters.inference.availability.heap import return_freed_memory
from chatbill.adapters.inference.availability.model_availability import STOPPING
from chatbill.adapters.inference.availability.turns import FairQueue
from chatbill.adapters.inference.transformers.batch import Batch, EndedReply
from chatbill.adapters.inference.transformers.generation import Job
from chatbill.adapters.inference.transformers.runtime import LocalModel
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import GenerationFailed

_log = structlog.get_logger(__name__)

_STOPPED = "engine_stopping"
_STUCK = "engine_stuck"


class Worker:
    """Loads a model on a thread of its own and writes up to `slots` replies at once; others await their turn.

    `loading` runs on that thread; an error of it makes the model unavailable, for the reason that `explain` returns.
    `model` is None unless the model can write now; `reason` then says why. `mean_reply_s` is a running mean.

    For the watchdog: `last_progress_at` (of `time.monotonic`) is the time when a load or a step ended, or when work
    reached the idle thread. `health` records tokens, replies and failures. A failure that its own request may have
    caused does not count; it requests a probe. `tokens_written` counts all computed tokens. `slots` may be lowered
    while the model is being loaded, not later.
    """

    def __init__(
        self,
        name: str,
        *,
        loading: Callable[[], LocalModel],
        explain: Callable[[Exception], Description],
        health: Health,
        slots: int = 1,
    ) -> None:
        self.model: LocalModel | None = None
        self.reason: Description | None = Description.of("model_loading", stage="load")
        self.health = health
        self.slots = slots
        self.running = 0
        self.mean_reply_s = 2.0
        self.last_progress_at = time.monotonic()
        self.tokens_written = 0
        self._name = name
        self._loading = loading
        self._explain = explain
        self._settled: Future[None] = Future()
        # Guards the attributes below. The thread holds it briefly, never while it computes.
        self._change = threading.Condition()
        self._waiting: FairQueue[Job] = FairQueue()
        self._unanswered: set[Job] = set()
        self._closed_reason = ""
        self._abandoned = False
        # A daemon, so that a process that ends does not wait for a download.
        self._thread = threading.Thread(target=self._run, name=f"model-{name}", daemon=True)

    @property
    def settled(self) -> bool:
        """True once the model is loaded or known to be unavailable."""
        return self._settled.done()

    @property
    def busy(self) -> bool:
        """True while replies are written or wait; only then does an old `last_progress_at` mean that it is stuck."""
        return bool(self._unanswered)

    @property
    def is_stuck(self) -> bool:
        """True while an abandoned thread is still in the call in which it was stuck."""
        return self._abandoned and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Return the number of replies that wait for a slot."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to load; call it once."""
        self.last_progress_at = time.monotonic()
        self._thread.start()

    async def wait_until_settled(self) -> None:
        """Return when the model is loaded or known to be unavailable; cancelling this wait changes nothing."""
        await asyncio.shield(asyncio.wrap_future(self._settled))

    def submit(self, generation: Job) -> None:
        """Write this reply as soon as there is a slot and it is its owner's turn."""
        with self._change:
            if not self._closed_reason:
                if not self._unanswered:
                    self.last_progress_at = time.monotonic()
                # Cancelled replies have given their places back, so they must not pile up here.
                self._remove(*[waiting for waiting in self._waiting if waiting.cancelled])
                self._waiting.push(generation.request.owner, generation)
                self._unanswered.add(generation)
                self._change.notify()
                return
        generation.deliver(GenerationFailed(self._closed_reason))

    def close(self, *, wait_s: float) -> None:
        """Stop within two tokens, fail all replies and free the model; wait at most `wait_s` seconds for that."""
        with self._change:
            self._closed_reason = self._closed_reason or _STOPPED
            self._change.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout=wait_s)
        self._fail_all(STOPPING, _STOPPED)

    def abandon(self, reason: Description) -> None:
        """Fail all replies of a thread that is stuck, and refuse new ones.

        The thread ends by itself, and frees the model, when the call in which it is stuck returns.
        """
        _log.error("model_abandoned", model=self._name, reason=str(reason))
        self._abandoned = True
        self._fail_all(reason, _STUCK)

    def _fail_all(self, reason: Description | None, words: str) -> None:
        with self._change:
            self._closed_reason = self._closed_reason or words
            self.model, self.reason, self.running = None, reason, 0
            unanswered = list(self._unanswered)
            self._remove(*unanswered)
            self._change.notify()
        for generation in unanswered:
            generation.deliver(GenerationFailed(words))
        self._settle()

    def _remove(self, *generations: Job) -> None:
        for generation in generations:
            self._unanswered.discard(generation)
            self._waiting.remove(generation.request.owner, generation)

    def _settle(self) -> None:
        with self._change:
            if not self._settled.done():
                self._settled.set_result(None)

    def _run(self) -> None:
        model = self._load()
        self._settle()
        if model is None:
            self._fail_all(self.reason, _STOPPED)
            return
        batch = Batch(model, slots=self.slots, name=self._name)
        while self._fill_slots(batch):
            self._record_step(batch, batch.step())
        self._fail_all(self.reason or STOPPING, _STOPPED)
        model.free_memory()
        # No reference to the model may remain, or its memory could not be freed.
        del batch, model
        return_freed_memory()

    def _record_step(self, batch: Batch, ended: Sequence[EndedReply]) -> None:
        """Record the results of a step before the readers learn that their replies have ended."""
        self.last_progress_at = time.monotonic()
        if batch.tokens_written != self.tokens_written:
            self.tokens_written = batch.tokens_written
            self.health.record_token()
        if any(one.failure is None for one in ended):
            self.health.record_success()
        elif any(not one.alone for one in ended):
            self.health.record_failure()
        elif ended:
            self.health.request_probe()
        for one in ended:
            self.mean_reply_s += 0.2 * (one.took_s - self.mean_reply_s)
        with self._change:
            self._remove(*(one.generation for one in ended))
            self.running = 0 if self._closed_reason else len(batch)
        for one in ended:
            one.generation.deliver(one.failure)

    def _load(self) -> LocalModel | None:
        started = time.monotonic()
        try:
            model = self._loading()
        except Exception as error:  # noqa: BLE001 - no error of one model may reach another model
            reason = self._explain(error)
            _log.warning("model_unavailable", model=self._name, reason=str(reason), exc_info=error)
            with self._change:
                self.reason = self.reason if self._closed_reason else reason
            return None
        with self._change:
            self.last_progress_at = time.monotonic()
            if not self._closed_reason:
                self.model, self.reason = model, None
                self.health.record_success()
        _log.info("model_ready", model=self._name, seconds=round(time.monotonic() - started, 2))
        return model

    def _fill_slots(self, batch: Batch) -> bool:
        """Fill free slots, and wait while there is nothing to do. Return False when the thread has to end."""
        with self._change:
            while not self._closed_reason:
                self._remove(*batch.drop_cancelled())
                while len(self._waiting) and batch.has_room:
                    generation = self._waiting.pop()
                    if generation.cancelled:
                        self._unanswered.discard(generation)
                    else:
                        batch.add(generation)
                self.running = len(batch)
                if self.running or batch.can_read_ahead:
                    return True
                self._change.wait()
            return False
