"""The interface to a library that runs models, so that threads and queues can be tested without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
from chatbill.adapters.inference.transformers.prefix_cache import PrefixCache
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.descriptions import Description

Device: TypeAlias = Literal["cpu", "cuda"]


class LoadError(Exception):
    """A model cannot be brought into memory, for the `reason` given."""

    def __init__(self, reason: Description) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NotLoadable(LoadError):
    """A folder cannot be run as a chat model."""


class Decoding(Protocol):
    """The decoding of one reply. Its memory is freed when nothing refers to it.

    `ended` is True once no more will be written: the reply is complete, or `error`, which is of this reply alone, is
    set. With an error, `model_works` is True where the request itself is the likely cause. `cut_off` is True where the
    limit of tokens ended the reply. `tokens` are those computed so far, without the one that ends it.
    """

    ended: bool
    cut_off: bool
    error: Exception | None
    model_works: bool
    tokens: int

    @property
    def reading(self) -> bool:
        """True until the whole prompt is read."""
        ...

    def take(self) -> Sequence[Chunk]:
        """Return the chunks that were written since the last call, oldest first."""
        ...


class LocalModel(Protocol):
    """A model in memory. `encode` may run beside the others, which all run on the thread that loaded the model.

    `prefixes` is what it keeps of ended replies, for any thread.
    """

    prefixes: PrefixCache[Any]

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        """Return the prompt for the next reply, as token ids. One call at a time."""
        ...

    def begin(self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int) -> Decoding:
        """Return the decoding of a reply of which nothing is computed yet."""
        ...

    def end(self, decoding: Decoding) -> None:
        """Keep what is useful of a reply that is complete or not wanted any more."""
        ...

    @property
    def can_read_ahead(self) -> bool:
        """True where `read_ahead` has something to read."""
        ...

    def read_ahead(self) -> None:
        """Read a few tokens with which the next turn of an ended reply begins; for times without replies to write."""
        ...

    def step(self, decodings: Sequence[Decoding]) -> None:
        """Compute one token more for each of these replies, or read a part of its prompt; they are all unended.

        What it raises concerns all of them, leaves each as it was, and the step may be tried again with fewer.
        """
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Return whether this error, of a step or of one reply, means that memory was short."""
        ...

    def free_memory(self) -> None:
        """Free the memory of ended replies; the model stays."""
        ...


@dataclass(frozen=True, slots=True)
class MeasuredProduct:
    """The fastest product for this number of rows: its name, and how many int8 weights it reads a second."""

    rows: int
    product: str
    weights_per_s: float


class Runtime(Protocol):
    """A library that runs models on one device of this machine."""

    @property
    def device(self) -> Device:
        """Return the device of its models."""
        ...

    def free_gpu_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; None where models are in RAM."""
        ...

    def free_memory(self) -> None:
        """Return unused memory to the device."""
        ...

    def load(self, spec: ModelSpec, folder: Path) -> LocalModel:
        """Load a model and have it write one token. Raises `NotLoadable`, or what the library raises."""
        ...

    def quantize(self, source: Path, target: Path) -> None:
        """Write the model of the folder `source`, with int8 weights for a CPU, into the new folder `target`."""
        ...

    def int8_products(self, folder: Path) -> Sequence[MeasuredProduct]:
        """Return how a CPU multiplies by int8 weights, as measured once and remembered in `folder`."""
        ...
