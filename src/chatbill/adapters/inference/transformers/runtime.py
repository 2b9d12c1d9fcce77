"""What the engine needs of a library that runs models, so that threads and queues can be tested without one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec
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


class Writing(Protocol):
    """One reply in the making. What it holds of the model's memory is given back when nothing refers to it."""

    @property
    def reading(self) -> bool:
        """True until the whole prompt is read."""
        ...

    @property
    def ended(self) -> bool:
        """True once nothing more will be written: the reply is whole, or `error` is set."""
        ...

    @property
    def cut_off(self) -> bool:
        """True where it ended because it may have no more tokens."""
        ...

    @property
    def error(self) -> Exception | None:
        """What broke this reply alone, and no other."""
        ...

    @property
    def model_is_well(self) -> bool:
        """With an `error`: True where the model had done its part, so that the request itself is the likely cause."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens computed for this reply so far, the one that ends it not counted."""
        ...

    def take(self) -> Sequence[Chunk]:
        """The pieces that were written since the last call, oldest first."""
        ...


class LocalModel(Protocol):
    """A model in memory. `encode` may run beside the others, which all run on the thread that loaded the model."""

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        """The prompt for the next reply, as token ids. One call at a time."""
        ...

    def begin(self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int) -> Writing:
        """A reply of which nothing is computed yet."""
        ...

    def step(self, writings: Sequence[Writing]) -> None:
        """Compute one token more for each of these replies, or read a part of its prompt; they are all unended.

        What it raises concerns all of them, leaves each as it was, and the step may be tried again with fewer.
        """
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether this error, of a step or of one reply, means that memory was short."""
        ...

    def free_memory(self) -> None:
        """Give back what replies have left behind; the model stays."""
        ...


class Runtime(Protocol):
    """A library that runs models on one device of this machine."""

    @property
    def device(self) -> Device:
        """Where its models run."""
        ...

    def free_gpu_bytes(self) -> int | None:
        """Memory of the device that is free, in bytes; None where models live in RAM."""
        ...

    def free_memory(self) -> None:
        """Give memory that no model uses any more back to the device."""
        ...

    def load(self, spec: ModelSpec, folder: Path) -> LocalModel:
        """Load a model and have it write one token. Raises `NotLoadable`, or what the library raises."""
        ...
