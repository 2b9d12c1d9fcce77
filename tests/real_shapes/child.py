"""Loads one model, has it write, and lets it go, twice; prints what it saw as one line of JSON."""

from __future__ import annotations

# ruff: noqa: T201 - the parent reads what it prints
import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.transformers import TransformersEngine
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from tests.real_shapes.memory import anonymous_bytes

TOKENS = 4


async def main(catalogue: Path, model: str) -> dict[str, Any]:
    """Two rounds with one engine each."""
    (spec,) = [spec for spec in load_catalogue(catalogue) if spec.id == model]
    library = ModelLibrary(catalogue.parent)
    seen: dict[str, Any] = {"load_s": [], "tokens": [], "tokens_per_s": [], "left_bytes": []}
    seen["need_bytes"] = library.fits(spec).need_bytes
    for _ in range(2):
        engine = TransformersEngine([spec], library)
        started = time.monotonic()
        await engine.start()
        seen["load_s"].append(time.monotonic() - started)
        status = engine.status()[spec.id]
        assert status.state is ModelState.READY, status.reason
        request = GenerationRequest(model=spec.id, turns=(Turn(Role.USER, "Hello there"),), max_tokens=TOKENS)
        generation = await engine.prepare(request)
        started = time.monotonic()
        tokens = sum([piece.tokens async for piece in generation.stream()])
        seen["tokens"].append(tokens)
        seen["tokens_per_s"].append(tokens / (time.monotonic() - started))
        await generation.close()
        await engine.close()
        del engine, generation
        gc.collect()
        seen["left_bytes"].append(anonymous_bytes(os.getpid()))
    seen["gpu_peak_bytes"] = gpu_peak_bytes()
    return seen


def gpu_peak_bytes() -> int:
    """Most memory that torch held on the GPU; 0 without one."""
    import torch  # noqa: PLC0415 - loaded by the engine by now

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))))
