"""A runtime without torch, so that threads and queues are tested in milliseconds. It obeys the scripted directives."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chatbill.adapters.inference.model_spec import FolderSource, ModelSpec
from chatbill.adapters.inference.pieces import PieceMaker
from chatbill.adapters.inference.scripted import Script
from chatbill.adapters.inference.transformers.runtime import Device, LocalModel
from chatbill.application.ports.engine import GenerationRequest, Piece
from chatbill.domain.catalogue import Tier
from chatbill.domain.chat import Turn
from chatbill.domain.credits import Price
from chatbill.domain.ids import ModelId


class FakeModel:
    """Writes words of the last message, and counts what it computed and how often it gave memory back."""

    def __init__(self) -> None:
        self.computed = 0
        self.freed = 0

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        return [len(word) for turn in turns for word in turn.text.split()]

    def write(
        self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int, stopped: Callable[[], bool]
    ) -> Iterator[Piece]:
        script, pieces = Script.of(request.turns[-1].text), PieceMaker(request.stop)
        self._wait(script.sleep_s, stopped)
        if script.out_of_memory:
            raise MemoryError
        for written, word in enumerate((*script.reply(max_tokens), None)):
            if stopped() or pieces.stopped:
                break
            if script.fail_after == written:
                raise ValueError("a secret detail of the machine")
            if word is None:
                break
            self.computed += 1
            if piece := pieces.push(word):
                yield piece
            self._wait(script.pause_s, stopped)
        if rest := pieces.finish():
            yield rest

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError)

    def free_memory(self) -> None:
        self.freed += 1

    def _wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not stopped():
            time.sleep(0.002)


@dataclass
class FakeRuntime:
    """Loads fakes, and breaks where it is told to."""

    broken: dict[str, Exception] = field(default_factory=dict)
    gpu_bytes: int | None = None
    models: dict[str, FakeModel] = field(default_factory=dict)
    device: Device = "cpu"

    def free_gpu_bytes(self) -> int | None:
        return self.gpu_bytes

    def load(self, spec: ModelSpec, folder: Path) -> LocalModel:
        assert folder.is_dir()
        if error := self.broken.get(spec.id):
            raise error
        model = self.models[spec.id] = FakeModel()
        return model


def fake_specs(root: Path, *, parameters: int = 0, lazy: bool = False) -> tuple[ModelSpec, ...]:
    """Two models in a folder that looks like one Transformers could load."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        (root / name).write_text("{}", encoding="utf-8")
    (root / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return tuple(
        ModelSpec(
            id=ModelId(name),
            name=name,
            tier=tier,
            price=Price(per_reply=1),
            context_tokens=400,
            max_reply_tokens=200,
            source=FolderSource(folder=root),
            parameters=parameters,
            lazy=lazy,
        )
        for name, tier in (("demo-mini", Tier.MINI), ("demo-pro", Tier.PRO))
    )
