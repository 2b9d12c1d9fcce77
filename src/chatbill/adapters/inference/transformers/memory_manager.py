"""Manage which models are in memory: load one at a time, and free what others keep, or unload them, to make room."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from chatbill.adapters.inference.availability.heap import return_freed_memory
from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.runtime import LoadError
from chatbill.domain.shared.descriptions import Description

_POLL_S = 0.05

_log = structlog.get_logger(__name__)


class DoesNotFit(LoadError):
    """Raised when the machine has too little memory for the model, even without other models."""


class NoRoom(LoadError):
    """Raised when the model would fit without the others in memory, and those cannot be unloaded now."""


class LoadTimeout(LoadError):
    """Raised when the loading of another model takes too long."""


class LoadedModel(Protocol):
    """A model that may be unloaded. `last_used_at` is of `time.monotonic`; `fit` is None unless it is in memory."""

    spec: ModelSpec
    last_used_at: float
    fit: Fit | None

    @property
    def prefix_bytes(self) -> int:
        """Return the memory that keeps what it has read."""
        ...

    def give_up_prefixes(self) -> bool:
        """Free that memory for as long as it is loaded, and return True; return False where none was reserved."""
        ...

    def unload(self) -> bool:
        """Free its memory and return True; return False and do nothing while it has replies or is not in memory."""
        ...


class MemoryCheck(Protocol):
    """Tells whether a model fits in memory."""

    def fits(
        self,
        spec: ModelSpec,
        *,
        free_gpu_bytes: int | None = None,
        promised_bytes: int = 0,
        slots: int = 1,
        prefix_bytes: int | None = None,
    ) -> Fit:
        """Return whether the model fits beside what is promised to others; see `ModelLibrary.fits`."""
        ...


class MemoryDevice(Protocol):
    """The memory in which the models are."""

    def free_gpu_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; None where models are in RAM."""
        ...

    def free_memory(self) -> None:
        """Return unused memory to the device."""
        ...


class SharedMemory:
    """The models that are in one memory, of all engines that use it, and the lock of the one that is being loaded."""

    def __init__(self) -> None:
        self.models: list[LoadedModel] = []
        self.load_lock = threading.Lock()


class MemoryManager:
    """Manages the memory in which the models of an engine are. Its methods may block the thread of a model.

    `shared` has the models of the engines that use this memory too; without it there is no other engine.
    """

    def __init__(
        self,
        library: MemoryCheck,
        *,
        slots: int,
        prefix_bytes: int | None = None,
        shared: SharedMemory | None = None,
    ) -> None:
        self._library = library
        self._slots = slots
        self._prefix_bytes = prefix_bytes
        self._shared = shared or SharedMemory()

    def add(self, *models: LoadedModel) -> None:
        """Count these models as well."""
        self._shared.models += models

    @contextmanager
    def load_lock(self, *, wait_s: float) -> Iterator[None]:
        """Hold the lock for loading; raise `LoadTimeout` if it is not free within `wait_s` seconds.

        Only one model may load at a time, because loading changes torch's default type for the whole process, and free
        memory must not be promised twice. Downloads do not need the lock.
        """
        if not self._shared.load_lock.acquire(timeout=wait_s):
            raise LoadTimeout(Description("model_waits_for_another"))
        try:
            yield
        finally:
            self._shared.load_lock.release()

    def check(self, spec: ModelSpec, runtime: MemoryDevice) -> None:
        """Raise `DoesNotFit` if the model would not fit even without the others. Needs no lock and never waits.

        While another model is being loaded its use of memory is unknown, so nothing is raised then.
        """
        if self._shared.load_lock.acquire(blocking=False):
            try:
                self._check(spec, runtime)
            finally:
                self._shared.load_lock.release()

    def make_room(self, spec: ModelSpec, runtime: MemoryDevice, *, wait_s: float) -> Fit:
        """Unload idle models as needed and return how the model fits. The caller must hold `load_lock`.

        Before that, and before the model writes fewer replies at once, the others give up what they keep. Waits up to
        `wait_s` seconds for a busy model to become idle; with 0, no model is unloaded. Raises `NoRoom` and
        `DoesNotFit`.
        """
        deadline = time.monotonic() + wait_s
        while True:
            fit = self._beside_others(spec, runtime)
            if fit.slots == self._slots:
                return fit
            if given_up := [other.spec.id for other in self._others(spec) if other.give_up_prefixes()]:
                return_freed_memory()
                runtime.free_memory()
                _log.info("prefixes_given_up", models=given_up, to_make_room_for=spec.id)
                continue
            if fit.fits:
                return fit
            self._check(spec, runtime)
            others = sorted(self._others(spec), key=lambda model: model.last_used_at)
            if wait_s and (unloaded := next((other for other in others if other.unload()), None)):
                gc.collect()
                runtime.free_memory()
                _log.info("model_unloaded", model=unloaded.spec.id, to_make_room_for=spec.id)
            elif time.monotonic() >= deadline:
                names = " and ".join(other.spec.id for other in others)
                raise NoRoom(Description("model_no_room", {"others": names, **fit.description.params}))
            else:
                time.sleep(_POLL_S)

    def free_bytes(self, spec: ModelSpec, runtime: MemoryDevice) -> int:
        """Return the free memory, including memory that is reserved for replies."""
        return self._library.fits(spec, free_gpu_bytes=runtime.free_gpu_bytes()).free_bytes

    def _check(self, spec: ModelSpec, runtime: MemoryDevice) -> None:
        if not (fit := self._alone(spec, runtime)).fits:
            raise DoesNotFit(fit.description)

    def _others(self, spec: ModelSpec) -> list[LoadedModel]:
        return [model for model in self._shared.models if model.spec.id != spec.id and model.fit]

    def _beside_others(self, spec: ModelSpec, runtime: MemoryDevice) -> Fit:
        # The memory that replies of the others may need. The part in use already is counted twice, which is safe.
        fits = [other.fit for other in self._others(spec) if other.fit]
        return self._fit(spec, runtime, sum(fit.reserved_bytes + fit.need.mapped_bytes for fit in fits))

    def _alone(self, spec: ModelSpec, runtime: MemoryDevice) -> Fit:
        """Return how it would fit if all other models were unloaded."""
        needs = [(other.fit.need, other.prefix_bytes) for other in self._others(spec) if other.fit]
        freed = sum(need.weights_bytes - need.mapped_bytes + prefix_bytes for need, prefix_bytes in needs)
        return self._fit(spec, runtime, -freed)

    def _fit(self, spec: ModelSpec, runtime: MemoryDevice, promised_bytes: int) -> Fit:
        return self._library.fits(
            spec,
            free_gpu_bytes=runtime.free_gpu_bytes(),
            promised_bytes=promised_bytes,
            slots=self._slots,
            prefix_bytes=self._prefix_bytes,
        )
