"""Choose which engine runs a model on this machine: Transformers or llama.cpp."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, TypeAlias

from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, ServerSource

LocalEngine: TypeAlias = Literal["transformers", "llama_cpp"]

TRANSFORMERS: Final[LocalEngine] = "transformers"
LLAMA_CPP: Final[LocalEngine] = "llama_cpp"
_NEEDED_BY: Final[dict[LocalEngine, tuple[str, ...]]] = {
    TRANSFORMERS: ("torch", "transformers", "accelerate"),
    LLAMA_CPP: ("xllamacpp", "gguf"),
}
_NAMES: Final = {TRANSFORMERS: "Transformers", LLAMA_CPP: "llama.cpp"}
_EXTRAS: Final = {TRANSFORMERS: "models", LLAMA_CPP: "server"}
_DRIVERS: Final = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def is_installed(engine: LocalEngine) -> bool:
    """Return whether an engine can run here and its packages are installed; imports none of them.

    llama.cpp is asked over a Unix socket, which asyncio on Windows does not have.
    """
    if engine == LLAMA_CPP and os.name == "nt":
        return False
    return all(find_spec(name) is not None for name in _NEEDED_BY[engine])


def has_cuda() -> bool:
    """Return whether torch finds a GPU. It is not imported where there is no driver, because that takes seconds."""
    if sys.platform == "darwin" or not is_installed(TRANSFORMERS):
        return False
    if os.name == "posix" and not any(Path(device).exists() for device in _DRIVERS):
        return False
    import torch  # noqa: PLC0415 - see above

    return torch.cuda.is_available()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEngines:
    """Chooses an engine for each model.

    `auto` takes Transformers where there is a GPU and on Windows, and otherwise llama.cpp where there is a GGUF file;
    and the other one where a package is missing. A model that only one of them can run is run by that one.
    """

    setting: Literal["auto", "llama_cpp", "transformers"] = "auto"
    is_installed: Callable[[LocalEngine], bool] = is_installed
    has_gpu: Callable[[], bool] = has_cuda

    def engine_of(self, spec: ModelSpec) -> LocalEngine | None:
        """Return the engine of a model; None for one on a server."""
        if isinstance(spec.source, ServerSource):
            return None
        if self.setting != "auto":
            return self.setting
        if spec.is_only_gguf:
            return LLAMA_CPP
        if not spec.has_gguf:
            return TRANSFORMERS
        first: LocalEngine = TRANSFORMERS if self.has_gpu() or os.name == "nt" else LLAMA_CPP
        second: LocalEngine = LLAMA_CPP if first == TRANSFORMERS else TRANSFORMERS
        return second if not self.is_installed(first) and self.is_installed(second) else first

    def is_gguf(self, spec: ModelSpec) -> bool:
        """Return whether a model is kept as a GGUF file here."""
        return self.engine_of(spec) == LLAMA_CPP and spec.has_gguf

    def fault_of(self, spec: ModelSpec) -> str:
        """Return why its engine cannot run a model, and what to do, for operators; "" if it can."""
        engine = self.engine_of(spec)
        if engine == LLAMA_CPP and not spec.has_gguf:
            return (
                f"{spec.id} has no GGUF file, which llama.cpp needs: set CHATBILL_LOCAL_ENGINE to auto, or choose "
                "another catalogue, such as gemma-gguf"
            )
        if engine == TRANSFORMERS and spec.is_only_gguf:
            return f"{spec.id} is only a GGUF file, which Transformers does not run: set CHATBILL_LOCAL_ENGINE to auto"
        if engine is None or self.is_installed(engine):
            return ""
        return (
            f"{spec.id} needs {_NAMES[engine]}, which is not installed: "
            f"pip install -c constraints.txt '.[{_EXTRAS[engine]}]' in a checkout, or "
            f"pip install 'chatbill[{_EXTRAS[engine]}]'"
        )
