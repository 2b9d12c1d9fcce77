"""The thread that owns one model: it loads it, writes its replies in turn, and lets it go."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from chatbill.adapters.inference.transformers.generation import ThreadedGeneration
from chatbill.adapters.inference.transformers.runtime import LocalModel
from chatbill.domain.errors import GenerationFailed, OutOfMemory

_log = structlog.get_logger(__name__)

STOPPING = "the service is stopping"
_STOPPED = "The service is stopping; nothing was charged. Try again shortly."


class Worker:
    """Loads a model on a thread of its own and writes one reply after the other on it.

    `loading` runs on that thread; what it raises means that the model cannot be had, and `explain` finds the words.
    `model` is None unless the model can write now; `reason` then says why. `mean_reply_s` is a running mean.
    """

    def __init__(self, name: str, *, loading: Callable[[], LocalModel], explain: Callable[[Exception], str]) -> None:
        self.model: LocalModel | None = None
        self.reason = "it is being loaded"
        self.running = 0
        self.mean_reply_s = 2.0
        self._name = name
        self._loading = loading
        self._explain = explain
        self._jobs: queue.SimpleQueue[ThreadedGeneration | None] = queue.SimpleQueue()
        self._settled: Future[None] = Future()
        self._closing = threading.Event()
        # A daemon, so that a process that was told to end does not wait for a download.
        self._thread = threading.Thread(target=self._run, name=f"model-{name}", daemon=True)

    @property
    def settled(self) -> bool:
        """True once the model is loaded or known to be unavailable."""
        return self._settled.done()

    def start(self) -> None:
        """Begin to load; call it once."""
        self._thread.start()

    async def wait_until_settled(self) -> None:
        """Return when the model is loaded or known to be unavailable; giving up waiting changes nothing."""
        await asyncio.shield(asyncio.wrap_future(self._settled))

    def submit(self, generation: ThreadedGeneration) -> None:
        """Write this reply after those that came before it."""
        if self._closing.is_set():
            generation.deliver(GenerationFailed(_STOPPED))
        else:
            self._jobs.put(generation)

    def close(self, *, wait_s: float) -> None:
        """Stop within two tokens, fail what still waits, let the model go. Waits at most `wait_s` seconds for it."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join(timeout=wait_s)

    def _run(self) -> None:
        started = time.monotonic()
        try:
            self.model = self._loading()
            self.reason = ""
            _log.info("model_ready", model=self._name, seconds=round(time.monotonic() - started, 2))
        except Exception as error:  # noqa: BLE001 - one model's failure, whatever it is, must not be another's
            self.reason = self._explain(error)
            _log.warning("model_unavailable", model=self._name, reason=self.reason, exc_info=error)
        self._settled.set_result(None)
        while (job := self._jobs.get()) is not None:
            if not job.cancelled:
                self._serve(job)
        while not self._jobs.empty():
            if waiting := self._jobs.get():
                waiting.deliver(GenerationFailed(_STOPPED))
        self._let_go()

    def _serve(self, job: ThreadedGeneration) -> None:
        model = self.model
        if model is None or self._closing.is_set():
            job.deliver(GenerationFailed(_STOPPED))
            return
        started = time.monotonic()
        self.running = 1
        failure: GenerationFailed | None = None
        try:
            for piece in model.write(
                job.request,
                job.prompt,
                max_tokens=job.max_tokens,
                stopped=lambda: job.cancelled or self._closing.is_set(),
            ):
                job.deliver(piece)
            if self._closing.is_set():
                failure = GenerationFailed(_STOPPED)
        except Exception as error:  # noqa: BLE001 - the reply fails, the model stays
            failure = OutOfMemory() if model.is_out_of_memory(error) else GenerationFailed()
            # The cause is for the log alone. It can name files and hold parts of prompts.
            _log.error("generation_failed", model=self._name, exc_info=error)
        if failure:
            # Not earlier: the traceback, gone by now, kept the reply's tensors alive.
            model.free_memory()
        self.mean_reply_s += 0.2 * (time.monotonic() - started - self.mean_reply_s)
        self.running = 0
        job.deliver(failure)

    def _let_go(self) -> None:
        model, self.model, self.reason = self.model, None, STOPPING
        if model:
            model.free_memory()
