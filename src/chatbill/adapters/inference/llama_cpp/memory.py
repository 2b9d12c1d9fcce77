"""Share the RAM of this machine among processes of llama.cpp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from chatbill.adapters.inference.availability.free_memory import free_ram_bytes
from chatbill.adapters.inference.availability.gguf_memory import need_of_gguf
from chatbill.adapters.inference.availability.memory import Fit, fit_of
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.memory_manager import (
    LoadedModel,
    LoadTimeout,
    MemoryManager,
    SharedMemory,
)
from chatbill.domain.shared.descriptions import Param
from chatbill.domain.shared.ids import ModelId

_LEAST_CONTEXT_TOKENS = 512
_POLL_S = 0.05


class Memory:
    """Tells whether a GGUF file fits beside others, and unloads idle ones for it. Belongs to one event loop."""

    def __init__(self, *, slots: int, shared: SharedMemory | None = None) -> None:
        self._files: dict[ModelId, Path] = {}
        self._manager = MemoryManager(self, slots=slots, shared=shared)
        self._order = asyncio.Lock()

    def add(self, *models: LoadedModel) -> None:
        """Count these models as well."""
        self._manager.add(*models)

    @asynccontextmanager
    async def turn(self, spec: ModelSpec, file: Path, wait_s: float) -> AsyncIterator[None]:
        """Let one model load within the block, while the others wait. Raises `LoadTimeout` after `wait_s` seconds."""
        self._files[spec.id] = file
        async with self._order:
            with ExitStack() as turn:
                await self._enter(turn, wait_s)
                yield

    async def _enter(self, turn: ExitStack, wait_s: float) -> None:
        """Wait for models of other engines, without blocking the event loop."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                turn.enter_context(self._manager.load_lock(wait_s=0.0))
            except LoadTimeout:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

    def make_room(self, spec: ModelSpec, wait_s: float) -> Fit:
        """Return how the model fits, once idle ones have left for it; blocks. Raises `NoRoom` and `DoesNotFit`."""
        return self._manager.make_room(spec, self, wait_s=wait_s)

    def fits(
        self,
        spec: ModelSpec,
        *,
        free_gpu_bytes: int | None = None,
        promised_bytes: int = 0,
        slots: int = 1,
        prefix_bytes: int | None = None,  # noqa: ARG002 - the slots keep what was read
    ) -> Fit:
        """Return whether the model fits beside what is promised to others."""
        file = self._files[spec.id]
        free = (free_ram_bytes() if free_gpu_bytes is None else free_gpu_bytes) - promised_bytes

        def advice() -> dict[str, Param]:
            context = spec.context_tokens // 2
            while context >= _LEAST_CONTEXT_TOKENS:
                if need_of_gguf(replace(spec, context_tokens=context), file).total(1) <= free:
                    return {"context_tokens": context}
                context //= 2
            return {"int8": False}

        return fit_of(
            need_of_gguf(spec, file),
            free_bytes=free,
            slots=slots,
            without_others=promised_bytes < 0,
            advice=advice,
        )

    def free_gpu_bytes(self) -> None:
        """Return None: the models are in RAM."""

    def free_memory(self) -> None:
        """Do nothing: a process that ended has returned its memory."""


def taken(fit: Fit) -> Fit:
    """Return the fit of a model in memory, which has taken all that it needs and will not grow."""
    need = replace(fit.need, weights_bytes=fit.need_bytes, loading_bytes=0, working_bytes=0, reply_bytes=0)
    return replace(fit, need=need)
