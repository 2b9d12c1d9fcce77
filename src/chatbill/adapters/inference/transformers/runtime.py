"""What the engine needs of a library that runs models, so that threads and queues can be tested without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from chatbill.adapters.inference.model_spec import ModelSpec
from chatbill.application.ports.engine import GenerationRequest, Piece
from chatbill.domain.chat import Turn

Device: TypeAlias = Literal["cpu", "cuda"]


class NotLoadable(Exception):
    """A folder cannot be run as a chat model; the text says why, for people."""


class LocalModel(Protocol):
    """A model in memory. `encode` may run beside the others, which all run on the thread that loaded the model."""

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        """The prompt for the next reply, as token ids. One call at a time."""
        ...

    def write(
        self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int, stopped: Callable[[], bool]
    ) -> Iterator[Piece]:
        """The reply, piece by piece. Computes at most one more token once `stopped()` is true."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether this error, raised by `write`, means that memory was short."""
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

    def load(self, spec: ModelSpec, folder: Path) -> LocalModel:
        """Load a model and have it write one token. Raises `NotLoadable`, or what the library raises."""
        ...
