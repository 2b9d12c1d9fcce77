"""A runtime without torch, so that tests of threads and queues are fast. It follows the scripted directives."""

from __future__ import annotations

import shutil
import struct
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatbill.adapters.inference.catalogue.model_spec import FolderSource, ModelSpec
from chatbill.adapters.inference.chunks import ChunkBuilder
from chatbill.adapters.inference.scripted import Script
from chatbill.adapters.inference.transformers.prefix_cache import PrefixCache
from chatbill.adapters.inference.transformers.runtime import Decoding, Device, LocalModel, MeasuredProduct
from chatbill.application.ports.engine import Chunk, GenerationRequest
from chatbill.domain.billing.prices import Price
from chatbill.domain.chat.catalogue import Tier
from chatbill.domain.chat.conversations import Turn
from chatbill.domain.shared.ids import ModelId


class FakeDecoding:
    """Writes words of the last message, one a step, with the waits of its directives."""

    def __init__(self, request: GenerationRequest, max_tokens: int) -> None:
        self.reading = True
        self.ended = self.cut_off = False
        self.error: Exception | None = None
        self.model_works = "[[own:fault]]" in request.turns[-1].text
        self.tokens = 0
        self._script = Script.of(request.turns[-1].text)
        self._chunks = ChunkBuilder(request.stop)
        self._words = self._script.reply(max_tokens)
        self._max_tokens = max_tokens
        self._new: list[Chunk] = []
        self._not_before = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._not_before

    def read(self) -> None:
        if self._script.out_of_memory:
            raise MemoryError
        self.reading = False
        self._not_before = time.monotonic() + self._script.sleep_s

    def write(self) -> None:
        if self._script.fail_after == self.tokens or self.model_works:
            self.error, self.ended = ValueError("a secret detail of the machine"), True
            return
        if chunk := self._chunks.push(self._words[self.tokens]):
            self._new.append(chunk)
        self.tokens += 1
        self._not_before = time.monotonic() + self._script.pause_s
        whole = self.tokens == len(self._words) and self._script.fail_after != self.tokens
        if whole or self._chunks.stopped:
            self.ended = True
            self.cut_off = self.tokens == self._max_tokens and not self._chunks.stopped
            if rest := self._chunks.finish():
                self._new.append(rest)

    def take(self) -> Sequence[Chunk]:
        new, self._new = self._new, []
        return new


class FakeModel:
    """Writes replies together, and counts the tokens it computed and how often it freed memory.

    It has something to read ahead `ahead` times. While `stuck` is set a step does not return. `broken` is raised by
    every step, `broken_begin` by every beginning.
    `[[own:fault]]` breaks a reply while the model is well.
    """

    def __init__(self) -> None:
        self.computed = 0
        self.freed = 0
        self.widest = 0
        self.stuck = threading.Event()
        self.broken: Exception | None = None
        self.broken_begin: Exception | None = None
        self.ahead = 0
        self.prefixes: PrefixCache[Any] = PrefixCache()

    def encode(self, turns: Sequence[Turn]) -> Sequence[int]:
        return [len(word) for turn in turns for word in turn.text.split()]

    def begin(self, request: GenerationRequest, prompt: Sequence[int], *, max_tokens: int) -> FakeDecoding:
        if self.broken_begin:
            raise self.broken_begin
        if "[[begin:fails]]" in request.turns[-1].text:
            raise ValueError("a secret detail of the beginning")
        return FakeDecoding(request, max_tokens)

    def end(self, decoding: Decoding) -> None:
        pass

    @property
    def can_read_ahead(self) -> bool:
        return self.ahead > 0

    def read_ahead(self) -> None:
        self.ahead -= 1
        if self.broken:
            raise self.broken

    def step(self, decodings: Sequence[Decoding]) -> None:
        while self.stuck.is_set():
            time.sleep(0.002)
        if self.broken:
            raise self.broken
        replies = [decoding for decoding in decodings if isinstance(decoding, FakeDecoding)]
        assert len(replies) == len(decodings)
        self.widest = max(self.widest, len(replies))
        if newcomer := next((reply for reply in replies if reply.reading), None):
            newcomer.read()
        due = [reply for reply in replies if reply.due and not reply.reading]
        for reply in due:
            before = reply.tokens
            reply.write()
            self.computed += reply.tokens - before
        if not due:
            time.sleep(0.002)

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, MemoryError)

    def free_memory(self) -> None:
        self.freed += 1


@dataclass
class FakeRuntime:
    """Loads fake models, and fails for those in `broken`.

    A model takes two bytes of `gpu_bytes` for each of its parameters until nothing refers to it any more. While `hold`
    is set, loading does not begin; while `hold_full` is, it has taken all its memory and does not return.
    """

    broken: dict[str, Exception] = field(default_factory=dict)
    gpu_bytes: int | None = None
    loaded: list[str] = field(default_factory=list)
    folders: dict[str, Path] = field(default_factory=dict)
    device: Device = "cpu"
    hold: threading.Event = field(default_factory=threading.Event)
    hold_full: threading.Event = field(default_factory=threading.Event)
    _models: dict[str, weakref.ref[FakeModel]] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, FakeModel]:
        return {name: model for name, reference in self._models.items() if (model := reference())}

    def free_gpu_bytes(self) -> int | None:
        return self.gpu_bytes

    def free_memory(self) -> None:
        pass

    def quantize(self, source: Path, target: Path) -> None:
        shutil.copytree(source, target)
        (target / "int8").touch()

    def int8_products(self, folder: Path) -> Sequence[MeasuredProduct]:
        return (MeasuredProduct(1, "mixed", 20e9), MeasuredProduct(128, "unpacked", 1e9))

    def load(self, spec: ModelSpec, folder: Path) -> LocalModel:
        self.folders[spec.id] = folder
        assert folder.is_dir()
        while self.hold.is_set():
            time.sleep(0.002)
        if error := self.broken.get(spec.id):
            raise error
        model = FakeModel()
        self._models[spec.id] = weakref.ref(model)
        self.loaded.append(spec.id)
        self._take(2 * spec.parameters)
        weakref.finalize(model, self._take, -2 * spec.parameters)
        while self.hold_full.is_set():
            time.sleep(0.002)
        return model

    def _take(self, size: int) -> None:
        if self.gpu_bytes is not None:
            self.gpu_bytes -= size


def fake_specs(root: Path, *, parameters: int = 0, lazy: bool = False) -> tuple[ModelSpec, ...]:
    """Return two models in a folder that looks as if Transformers could load it."""
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
