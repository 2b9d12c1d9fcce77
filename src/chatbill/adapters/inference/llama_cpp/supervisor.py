"""Keep the process of one model running while it is needed: load it, and replace it when it has ended or is stuck."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from chatbill.adapters.inference.llama_cpp.process import LlamaProcess, ProcessFailed
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.memory_manager import NoRoom
from chatbill.adapters.inference.transformers.runtime import LoadError, NotLoadable
from chatbill.adapters.inference.weights.fetch import ModelNotFetched, Progress
from chatbill.application.ports.engine import ModelState, ModelStatus
from chatbill.domain.shared.descriptions import Description
from chatbill.domain.shared.errors import ModelUnavailable
from chatbill.domain.shared.ids import ModelId

_log = structlog.get_logger(__name__)

_ENDING_WAIT_S = 1.0
"""How long a process whose connection broke has to end; one that still runs then has not crashed."""
_NOTICE_S = 0.01
_FIRST_PAUSE_S, _MAX_DOUBLINGS, _STABLE_AFTER_S = 1.0, 6, 60.0
"""A process that crashed is started again at once; after further crashes within `_STABLE_AFTER_S` of a start there are
pauses, doubled each time up to 64 seconds."""


class Served(Protocol):
    """What the process is for."""

    async def load(self, *, wait_for_room_s: float, note: Callable[[Progress], None]) -> LlamaProcess:
        """Return the process once it has loaded the model. Raises `LoadError` and other errors."""
        ...

    async def begin(self) -> None:
        """Use the process, which is ready."""
        ...

    async def end(self) -> None:
        """Stop using the process, which has ended or is about to."""
        ...

    def silent_s(self) -> float:
        """Return how long the process has sent nothing although it has requests; 0 without requests."""
        ...


class ProcessSupervisor:
    """Runs the process of one model. Belongs to one event loop."""

    def __init__(self, model: ModelId, served: Served, limits: ModelLimits, *, lazy: bool) -> None:
        self._model = model
        self._served = served
        self._limits = limits
        self._is_lazy = lazy
        self._process: LlamaProcess | None = None
        self._life: asyncio.Task[None] | None = None
        self._settled: asyncio.Event = asyncio.Event()
        self._progress = Progress("load")
        self._problem: Exception | None = None
        self._reason: Description | None = None
        self._retry_at = 0.0
        self._crashes = 0
        self._was_lost = False

    @property
    def process(self) -> LlamaProcess | None:
        """Return the process if it can answer now."""
        return self._process

    def status(self) -> ModelStatus:
        """Return the state of the process; see the protocol."""
        if self._process:
            return ModelStatus(state=ModelState.READY)
        if self._reason and not self._wants_room:
            return ModelStatus(state=ModelState.UNAVAILABLE, reason=self._reason, healthy=not self._was_lost)
        if self._is_down:
            return ModelStatus(state=ModelState.RESTING, healthy=not self._was_lost)
        reason = Description("model_loading", self._params())
        return ModelStatus(state=ModelState.LOADING, reason=reason, healthy=not self._was_lost)

    def begin(self, *, wait_for_room_s: float) -> None:
        """Start to load the model, unless that was done before."""
        if self._is_down:
            self._problem = self._reason = None
            self._settled.clear()
            self._life = asyncio.create_task(self._live(wait_for_room_s), name=f"llama.cpp of {self._model}")

    def retry_if_due(self) -> None:
        """Load the model again after a failure, once its pause is over; a lazy one waits for its next request."""
        if self._is_down and self._reason and not self._wants_room and time.monotonic() >= self._retry_at:
            if self._is_lazy and not self._was_lost:
                self._reason = None
            else:
                self.begin(wait_for_room_s=0.0)

    async def wait_until_settled(self) -> None:
        """Return when the model is loaded or known to be unavailable."""
        await self._settled.wait()

    async def wait_until_ready(self) -> None:
        """Load the model unless it is loaded. Raises `ModelUnavailable` if that fails or takes too long."""
        if self._process:
            return
        left_s = self._retry_at - time.monotonic()
        if self._reason and not self._wants_room and (left_s > 0 or not self._is_down):
            after_s = None if math.isinf(left_s) else max(1, math.ceil(left_s))
            raise ModelUnavailable(self._model, self._reason, retry_after_s=after_s)
        self.begin(wait_for_room_s=self._limits.load_wait_s)
        try:
            async with asyncio.timeout(self._limits.load_wait_s):
                await self._settled.wait()
        except TimeoutError:
            raise ModelUnavailable(self._model, Description("model_still_loading", self._params())) from None
        if not self._process:
            raise ModelUnavailable(self._model, self._reason or Description("model_still_loading", self._params()))

    async def has_ended(self) -> bool:
        """Return True if the process has ended, or ends in a moment; then it is not the present one any more."""
        process = self._process
        if process is not None and not await process.has_ended(within_s=_ENDING_WAIT_S):
            return False
        # The task that serves the process notices its end in a moment.
        while process is not None and self._process is process:  # noqa: ASYNC110
            await asyncio.sleep(_NOTICE_S)
        return True

    async def close(self) -> None:
        """End the process; the next `begin` may start it again."""
        life, self._life = self._life, None
        if life:
            life.cancel()
            await asyncio.wait({life})
        self._settled.set()

    @property
    def _is_down(self) -> bool:
        return self._life is None or self._life.done()

    @property
    def _wants_room(self) -> bool:
        return isinstance(self._problem, NoRoom)

    async def _live(self, wait_for_room_s: float) -> None:
        while True:
            started = time.monotonic()
            try:
                process = await self._served.load(wait_for_room_s=wait_for_room_s, note=self._note)
            except Exception as error:  # noqa: BLE001 - every error is a reason
                self._failed(error)
                return
            _log.info("model_ready", model=self._model, seconds=round(time.monotonic() - started, 2))
            await self._serve(process)
            await self._pause(ran_s=time.monotonic() - started)
            wait_for_room_s = self._limits.load_wait_s

    async def _serve(self, process: LlamaProcess) -> None:
        """Let the process be used until it ends; kill it when it is stuck."""
        self._process, self._problem, self._reason = process, None, None
        using = asyncio.create_task(self._use())
        try:
            while not await process.has_ended(within_s=self._limits.check_interval_s):
                if self._served.silent_s() > self._limits.stuck_after_s:
                    _log.error("model_abandoned", model=self._model, after_s=self._limits.stuck_after_s)
                    process.kill()
            _log.error("model_process_ended", model=self._model, exit_code=await process.wait())
            self._was_lost = True
        finally:
            self._process = None
            self._settled.clear()
            using.cancel()
            await asyncio.wait({using})
            await self._served.end()
            await process.end()

    async def _use(self) -> None:
        await self._served.begin()
        self._settled.set()

    async def _pause(self, *, ran_s: float) -> None:
        """Wait before the process is started again, longer after each crash in a row."""
        self._crashes = 1 if ran_s > _STABLE_AFTER_S else self._crashes + 1
        if self._crashes == 1:
            return
        pause_s = _FIRST_PAUSE_S * 2 ** min(self._crashes - 2, _MAX_DOUBLINGS)
        self._retry_at = time.monotonic() + pause_s
        self._reason = Description.of("model_failed_repeatedly", failures=self._crashes)
        self._settled.set()
        await asyncio.sleep(pause_s)
        self._reason = None
        self._settled.clear()

    def _failed(self, error: Exception) -> None:
        """Record why the model could not be loaded, and when it may be tried again."""
        cause = error.reason if isinstance(error, LoadError | ModelNotFetched) else None
        if isinstance(error, ProcessFailed):
            _log.error("model_not_loaded", model=self._model, messages=error.messages)
        elif cause:
            _log.warning("model_unavailable", model=self._model, reason=str(error), cause=str(error.__cause__ or ""))
        else:
            _log.error("model_not_loaded", model=self._model, exc_info=error)
        cause = cause or Description.of("model_not_loaded", error=type(error).__name__)
        if self._was_lost:
            cause = Description("model_not_reloaded", {"cause": cause.code, **cause.params})
        self._problem, self._reason = error, cause
        self._retry_at = math.inf if isinstance(error, NotLoadable) else time.monotonic() + self._limits.retry_s
        self._settled.set()

    def _note(self, progress: Progress) -> None:
        self._progress = progress

    def _params(self) -> dict[str, str | int | float | bool | None]:
        return {"stage": self._progress.stage}
