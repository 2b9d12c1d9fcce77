"""Measure int8 weights on a CPU: `python -m benchmarks.int8 [ROUNDS] [FOLDER]`.

A layer of Gemma 3 12B beside bitsandbytes, and the demo model in int8 beside the same weights in bfloat16, through the
public engine. With a folder, also the 12B in its real shapes, whose random int8 weights are written there: 12.2 GB, on
a disk or in `/dev/shm`. What is compared takes turns in the same minutes; medians are printed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import platformdirs

from benchmarks.inference import Mark, Streams
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, Sampling
from chatbill.adapters.inference.transformers import TransformersEngine, torch_runtime
from chatbill.adapters.inference.transformers.bandwidth import memory_bandwidth
from chatbill.adapters.inference.transformers.int8.processor import processor_flags, processor_name
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn

ROWS, COLUMNS = 15_360, 3_840
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_int8")
GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0)
MOST_BYTES = 16 * 2**30
LARGE_TOKENS = 5


class Products:
    """One product with a layer of Gemma 3 12B, in three ways."""

    def __init__(self, runtime: Any, folder: Path) -> None:
        import bitsandbytes  # noqa: PLC0415
        import torch  # noqa: PLC0415 - after `torch_runtime`, which sets what must be set before

        from chatbill.adapters.inference.transformers.int8 import choice, modules  # noqa: PLC0415

        self._torch: Any = torch
        weight = torch.randn(ROWS, COLUMNS, dtype=torch.bfloat16).mul_(0.02)
        layers: Any = bitsandbytes.nn
        theirs = layers.Linear8bitLt(COLUMNS, ROWS, bias=False, has_fp16_weights=False, threshold=6.0)
        theirs.weight = layers.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False).to("cpu")
        integers, scales = modules.quantized(weight)
        self.measured = runtime.int8_products(folder)
        choose = choice.by_rows(self.measured)
        self._ways: dict[str, Callable[[Any], Any]] = {
            "bitsandbytes": theirs,
            "ours": lambda rows: choose(rows.shape[0])(rows, integers, scales),
            "bfloat16": lambda rows: torch.nn.functional.linear(rows, weight),
        }

    def one_round(self, count: int) -> dict[str, float]:
        """Return milliseconds."""
        rows = self._torch.randn(count, COLUMNS).to(self._torch.bfloat16)
        figures = {}
        with self._torch.inference_mode():
            for name, way in self._ways.items():
                started = time.perf_counter()
                way(rows)
                figures[name] = 1e3 * (time.perf_counter() - started)
        return figures


async def demo(rounds: int, *, streams: int = 1) -> list[dict[str, float]]:
    """Return tokens a second of one stream or more: the same weights in bfloat16 and in int8, in turns."""
    specs = [replace(spec, sampling=GREEDY) for spec in load_catalogue("demo")]
    library = ModelLibrary(platformdirs.user_cache_path("chatbill") / "models")
    engine = TransformersEngine(specs, library, runtime=torch_runtime, slots=8)
    await engine.start()
    models = {name: Streams(engine, spec) for name, spec in zip(("bf16", "int8"), specs, strict=True)}
    figures = [{name: await model.speed(streams) for name, model in models.items()} for _ in range(rounds + 1)]
    await engine.close()
    return figures[1:]  # the first one warms up


def large(folder: Path, rounds: int) -> tuple[list[dict[str, float]], int]:
    """Return tokens a second of the 12B and what the memory allows, and the most memory that the process took."""
    from tests.real_shapes.checkpoints import make_checkpoint  # noqa: PLC0415 - it needs torch

    copy = folder / "gemma-3-12b-noise.int8"
    if not copy.exists():
        make_checkpoint("12b", copy, int8=True)
    sizes = sum(file.stat().st_size for file in copy.glob("*.safetensors"))
    spec = replace(load_catalogue("gemma")[1], source=FolderSource(folder=copy), sampling=GREEDY)
    fit = ModelLibrary(folder).fits(spec)
    started = time.perf_counter()
    model = torch_runtime().load(spec, copy)
    print(f"12B: {sizes / 1e9:.1f} GB of weights, loaded in {time.perf_counter() - started:.0f} s", flush=True)
    request = GenerationRequest(model=spec.id, turns=(Turn(Role.USER, "Hello there"),), max_tokens=999)
    writing = model.begin(request, model.encode(request.turns), max_tokens=999)
    while writing.reading:
        model.step([writing])
    figures = []
    for _ in range(rounds):
        written, started = writing.tokens, time.perf_counter()
        for _ in range(LARGE_TOKENS):
            model.step([writing])
        speed = (writing.tokens - written) / (time.perf_counter() - started)
        figures.append({"12b": speed, "bound": memory_bandwidth("cpu") / fit.need.weights_bytes})
    assert not writing.error
    print(f"12B: foretold {fit.need_bytes / 2**30:.1f} GiB for one reply of {spec.context_tokens} tokens", flush=True)
    return figures, peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that this process had, pages of mapped files included; 0 where that is not told."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def show(title: str, rounds: Sequence[dict[str, float]], unit: str, *marks: Mark) -> None:
    print(title)
    for name in rounds[0]:
        values = [its[name] for its in rounds]
        print(f"    {name:<20} {median(values):8.2f} {unit}  ({min(values):.2f} to {max(values):.2f})")
    for mark in marks:
        print(mark.line(rounds))
    print(flush=True)


def main(rounds: int, folder: Path | None) -> None:
    runtime = torch_runtime("cpu")
    supported = [flag for flag in FLAGS if flag in processor_flags().split()]
    print(
        f"{processor_name()} ({', '.join(supported)}), {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"load {os.getloadavg()[0]:.1f}; medians of {rounds} rounds")
    products = Products(runtime, platformdirs.user_cache_path("chatbill") / "models")
    print("chosen: " + ", ".join(f"{one.rows} rows {one.product}" for one in products.measured) + "\n")
    for count in (1, 8, 128):
        mark = Mark(words="bitsandbytes / ours", ratio=lambda its: its["bitsandbytes"] / its["ours"], bound=30.0)
        products.one_round(count)
        measured = [products.one_round(count) for _ in range(rounds)]
        show(f"product {ROWS} x {COLUMNS}, {count} rows", measured, "ms", *([mark] if count == 1 else []))
    mark = Mark(words="int8 / bfloat16, one stream", ratio=lambda its: its["int8"] / its["bf16"], bound=1.5)
    show("demo model, one stream", asyncio.run(demo(rounds)), "tokens/s", mark)
    show("demo model, 8 streams", asyncio.run(demo(3, streams=8)), "tokens/s")
    if folder:
        figures, peak = large(folder, rounds)
        mark = Mark(words="12B / what the memory allows", ratio=lambda its: its["12b"] / its["bound"], bound=0.6)
        show("12B, one stream", figures, "tokens/s", mark)
        print(f"memory in use {peak / 2**30:.2f} GiB, at most 16: {'met' if peak <= MOST_BYTES else 'MISSED'}")
        shutil.rmtree(folder / "gemma-3-12b-noise.int8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
