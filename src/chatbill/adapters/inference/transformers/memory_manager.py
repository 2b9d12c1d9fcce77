"""Manage which models are in memory: they are loaded one at a time, and the longest idle ones leave for them."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog

from chatbill.adapters.inference.availability.memory import Fit
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.runtime import LoadError, Runtime
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.domain.shared.descriptions import Description

_POLL_S = 0.05

_log = structlog.get_logger(__name__)


class DoesNotFit(LoadError):
    """The machine has too little memory for the model, even without other models."""


class NoRoom(LoadError):
    """The model would fit if others were not in memory, and those cannot leave now."""


class NoTurn(LoadError):
    """Another model takes too long to load."""


class LoadedModel(Protocol):
    """A model as the others see it. `last_used_at` is of `time.monotonic`; `fit` is None unless it is in memory."""

    spec: ModelSpec
    last_used_at: float
    fit: Fit | None

    def leave(self) -> bool:
        """Free its memory and return True; False, changing nothing, while it has replies or is not in memory."""
        ...


class MemoryManager:
    """The models that share one device. Its methods are for the threads of models, which they may keep waiting."""

    def __init__(self, library: ModelLibrary, *, slots: int) -> None:
        self._library = library
        self._slots = slots
        self._turn = threading.Lock()
        self.models: Sequence[LoadedModel] = ()

    @contextmanager
    def turn(self, *, wait_s: float) -> Iterator[None]:
        """Only one model is loaded at a time; raises `NoTurn` where another takes longer than `wait_s` seconds.

        Loading sets torch's default type for the whole process for a moment, and memory that is free can be promised
        to one only. Fetching needs no turn.
        """
        if not self._turn.acquire(timeout=wait_s):
            raise NoTurn(Description("model_waits_for_another"))
        try:
            yield
        finally:
            self._turn.release()

    def check(self, spec: ModelSpec, runtime: Runtime) -> None:
        """Raise `DoesNotFit` when the model would not fit even if all others left. Needs no turn and never waits.

        While a model is being loaded the memory that it has taken by then is unknown, so nothing is raised then.
        """
        if self._turn.acquire(blocking=False):
            try:
                self._check(spec, runtime)
            finally:
                self._turn.release()

    def make_room(self, spec: ModelSpec, runtime: Runtime, *, wait_s: float) -> Fit:
        """Return how the model fits, once idle models have left if needed. For the thread whose turn it is.

        Waits up to `wait_s` seconds for a busy model to become idle; with 0, none is asked to leave. Raises `NoRoom`
        and `DoesNotFit`.
        """
        deadline = time.monotonic() + wait_s
        while True:
            fit = self._beside_others(spec, runtime)
            if fit.fits:
                return fit
            self._check(spec, runtime)
            others = sorted(self._others(spec), key=lambda model: model.last_used_at)
            if wait_s and (left := next((other for other in others if other.leave()), None)):
                gc.collect()
                runtime.free_memory()
                _log.info("model_left", model=left.spec.id, to_make_room_for=spec.id)
            elif time.monotonic() >= deadline:
                names = " and ".join(other.spec.id for other in others)
                raise NoRoom(Description("model_no_room", {"others": names, **fit.description.params}))
            else:
                time.sleep(_POLL_S)

    def free_bytes(self, spec: ModelSpec, runtime: Runtime) -> int:
        """Return the free memory, without regard to what is promised of it."""
        return self._library.fits(spec, free_gpu_bytes=runtime.free_gpu_bytes()).free_bytes

    def _check(self, spec: ModelSpec, runtime: Runtime) -> None:
        if not (fit := self._alone(spec, runtime)).fits:
            raise DoesNotFit(fit.description)

    def _others(self, spec: ModelSpec) -> list[LoadedModel]:
        return [model for model in self.models if model.spec.id != spec.id and model.fit]

    def _beside_others(self, spec: ModelSpec, runtime: Runtime) -> Fit:
        # What replies of the others may still take. What they take already is counted twice, which is safe.
        promised = sum(other.fit.need.running(other.fit.slots) for other in self._others(spec) if other.fit)
        free = runtime.free_gpu_bytes()
        return self._library.fits(spec, free_gpu_bytes=free, promised_bytes=promised, slots=self._slots)

    def _alone(self, spec: ModelSpec, runtime: Runtime) -> Fit:
        """As if all others had left and given back their weights."""
        given_back = sum(other.fit.need.weights_bytes for other in self._others(spec) if other.fit)
        free = runtime.free_gpu_bytes()
        return self._library.fits(spec, free_gpu_bytes=free, promised_bytes=-given_back, slots=self._slots)
