"""Serve one GGUF file, by a process of llama.cpp that the engine for servers asks."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from chatbill.adapters.inference.availability.gguf_memory import CHECKPOINTS
from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource
from chatbill.adapters.inference.llama_cpp.markers import Markers
from chatbill.adapters.inference.llama_cpp.memory import Memory, taken
from chatbill.adapters.inference.llama_cpp.process import LlamaProcess
from chatbill.adapters.inference.llama_cpp.server import LlamaCounter, LlamaServer
from chatbill.adapters.inference.llama_cpp.slots import OwnedSlots
from chatbill.adapters.inference.llama_cpp.supervisor import ProcessSupervisor
from chatbill.adapters.inference.openai.model import RemoteModel
from chatbill.adapters.inference.openai.server import Timeouts
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import NotLoadable
from chatbill.adapters.inference.weights.fetch import Progress, Report
from chatbill.adapters.inference.weights.gguf_header import GgufHeader, fault_of_gguf, read_header
from chatbill.application.ports.engine import Generation, GenerationRequest, ModelStatus
from chatbill.domain.shared.descriptions import Description

_log = structlog.get_logger(__name__)

_READ_AT_ONCE = 512
"""Tokens of prompts that are computed in one step, between two of which a reply can be stopped."""
_UNLOAD_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufModel:
    """A model of the catalogue, and a function that returns its complete GGUF file.

    `gguf` is called on a thread before each load and may fetch or write the file; it raises `ModelNotFetched`.
    """

    spec: ModelSpec
    gguf: Callable[[], Path]


class ServedFile:
    """One model, whose process runs while it is needed. `unload` is for the threads of other models."""

    def __init__(
        self,
        model: GgufModel,
        memory: Memory,
        *,
        slots: int,
        max_queued: int,
        share_percent: int,
        limits: ModelLimits,
        timeouts: Timeouts,
        report: Report,
    ) -> None:
        self.spec = model.spec
        self.fit: Fit | None = None
        self.last_used_at = time.monotonic()
        self.supervisor = ProcessSupervisor(self.spec.id, self, limits, lazy=self.spec.lazy)
        self._gguf, self._memory, self._slots, self._limits, self._report = model.gguf, memory, slots, limits, report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._key = secrets.token_urlsafe(32)
        self._folder = Path(tempfile.gettempdir()) / f"chatbill-{secrets.token_hex(8)}"
        self._socket = self._folder / "llama.sock"  # llama.cpp takes a name with this ending for a socket
        self._server = LlamaServer(
            self._socket,
            self._key,
            sampling=self.spec.sampling,
            timeouts=timeouts,
            max_connections=4 * slots + 8,
            ready=self.supervisor.wait_until_ready,
            has_ended=self.supervisor.has_ended,
        )
        self._remote = RemoteModel(
            self.spec,
            ServerSource(url=str(self._server.url), concurrency=slots),
            self._server,
            max_queued=max_queued,
            share_percent=share_percent,
            probe_s=limits.probe_interval_s,
            counter=LlamaCounter(self._server),
            supervisor=self.supervisor,
        )

    def status(self) -> ModelStatus:
        """Return its present state."""
        memory_bytes = self.fit.need.weights_bytes if self.fit else 0
        return replace(self._remote.status(), memory_bytes=memory_bytes)

    async def prepare(self, request: GenerationRequest) -> Generation:
        """Return a place, once the model is in memory; see the port."""
        self.last_used_at = time.monotonic()
        return await self._remote.prepare(request)

    @property
    def prefix_bytes(self) -> int:
        """Return 0: what was read is kept in the slots, whose memory is taken once and for all."""
        return 0

    def give_up_prefixes(self) -> bool:
        """Return False: there is nothing to give up."""
        return False

    def unload(self) -> bool:
        """Unload the model and return True; False while it has replies or is not in memory."""
        if self._loop is None:
            return False
        return asyncio.run_coroutine_threadsafe(self._unload(), self._loop).result(_UNLOAD_WAIT_S)

    async def close(self) -> None:
        """End all replies and the process, and free all memory."""
        await self._remote.close()
        await self.supervisor.close()
        await self._server.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def load(self, *, wait_for_room_s: float, note: Callable[[Progress], None]) -> LlamaProcess:
        """Obtain the file, make room, and start the process."""
        self._loop = self._server.loop = asyncio.get_running_loop()

        def publish(progress: Progress) -> None:
            note(progress)
            self._report(progress)

        file, header = await asyncio.to_thread(self._read)
        note(Progress("turn"))
        async with self._memory.turn(self.spec, file, self._limits.load_timeout_s):
            note(Progress("room"))
            fit = await asyncio.to_thread(self._memory.make_room, self.spec, wait_for_room_s)
            publish(Progress("load", 0, fit.need.weights_bytes))
            process = await self._started(file, fit)
            self.fit = taken(fit)
        if fit.slots < self._slots:
            _log.warning(
                "model_writes_fewer_replies_at_once", model=self.spec.id, slots=fit.slots, reason=str(fit.description)
            )
        self._server.slots, self._server.markers = OwnedSlots(fit.slots), Markers(header.markers)
        publish(Progress("ready"))
        return process

    async def begin(self) -> None:
        """Have the model write a token, and watch it."""
        await self._remote.start()

    async def end(self) -> None:
        """Stop watching the model, and forget its connections."""
        self.fit = None
        await self._remote.pause()
        await self._server.close()

    def silent_s(self) -> float:
        """Return how long the process has sent nothing although it has requests; 0 without requests."""
        return time.monotonic() - self._server.last_event_at if self._server.busy else 0.0

    def _read(self) -> tuple[Path, GgufHeader]:
        file = self._gguf()
        if fault := fault_of_gguf(file):
            _log.error("model_not_loaded", model=self.spec.id, file=str(file), fault=fault)
            raise NotLoadable(Description("model_file_broken"))
        header = read_header(file)
        if not header.chat_template:
            raise NotLoadable(Description("model_without_chat_template"))
        return file, header

    async def _started(self, file: Path, fit: Fit) -> LlamaProcess:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        params = {
            "n_parallel": fit.slots,
            "n_ctx": fit.slots * self.spec.context_tokens,
            "n_batch": _READ_AT_ONCE,
            "n_ubatch": _READ_AT_ONCE,
            "n_ctx_checkpoints": CHECKPOINTS,
            # `OwnedSlots` decides what is reused of other requests.
            "slot_prompt_similarity": 0.0,
            "cache_ram_mib": 0,
            "cache_idle_slots": False,
            "kv_unified": False,
            "fit_params": False,
            "force_pure_content_parser": True,
            "endpoint_slots": False,
            "endpoint_metrics": True,
            "ui": False,
            "verbosity": 2,
        }
        return await LlamaProcess.start(
            model=file,
            socket=self._socket,
            key=self._key,
            params=params,
            within_s=self._limits.load_timeout_s,
        )

    async def _unload(self) -> bool:
        if not (self.supervisor.process and self._remote.is_idle):
            return False
        await self.supervisor.close()
        return True
