"""Measure replies on a GPU: `python -m benchmarks.gpu FOLDER [ROUNDS]`. The folder takes 26 GB; `/dev/shm` is fastest.

Gemma 3 1B in its real shapes with random weights, through the public engine: 1, 8 and 32 replies at once, beside plain
`generate` and Transformers' own continuous batching. Then the 12B in int8 (bitsandbytes) beside bfloat16. What is
compared takes turns in the same minutes, and medians are printed, with the memory that was foretold and that was used.
First, 64 greedy tokens in float32 must be those of `generate`.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import FolderSource, ModelSpec, Sampling, Weights
from chatbill.adapters.inference.transformers import TransformersEngine, torch_runtime
from chatbill.adapters.inference.transformers.bandwidth import memory_bandwidth
from chatbill.adapters.inference.transformers.limits import ModelLimits
from chatbill.adapters.inference.transformers.runtime import LocalModel
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest, ModelState
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import ModelId

TOKENS = 128
SMALL, LARGE = (1, 8, 32), (1, 8)
PROFILED_STEPS = 20
GIB = 2**30
SUBJECTS = ("fox", "bear", "whale", "robot", "queen", "sailor", "spider", "teacher")


class References:
    """The same weights by functions of Transformers."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import torch  # noqa: PLC0415 - after `torch_runtime`, which sets what must be set before
        import transformers  # noqa: PLC0415

        self._torch: Any = torch
        self._library: Any = transformers
        kept: Any = self._library.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map={"": "cuda"})
        self._model = kept.eval()
        self._tokenizer: Any = self._library.AutoTokenizer.from_pretrained(folder)

    def generate(self, text: str, tokens: int = TOKENS) -> list[int]:
        """Return the tokens of a greedy reply."""
        prompt = self._torch.tensor([self._prompt(text)], device="cuda")
        asked = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
        output = self._model.generate(prompt, attention_mask=self._torch.ones_like(prompt), **asked)
        return [int(token) for token in output[0, prompt.shape[1] :]]

    def generate_batch(self, count: int) -> int:
        """Return how many tokens these many replies have, by one manager for all rounds."""
        outputs = self._model.generate_batch(
            inputs=[self._prompt(story(number)) for number in range(count)],
            generation_config=self._library.GenerationConfig(
                max_new_tokens=TOKENS, do_sample=False, eos_token_id=-1, pad_token_id=0
            ),
            persistent_manager=True,
        )
        return sum(len(output.generated_tokens) for output in outputs.values())

    def close(self) -> None:
        """Stop the manager's thread, and free the memory."""
        self._model.destroy_cached_continuous_batching_manager()
        self._model = None

    def _prompt(self, text: str) -> list[int]:
        messages = [{"role": "user", "content": text}]
        ids: list[int] = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return ids


def story(number: int) -> str:
    return f"Tell me a very long story about {number} and a {SUBJECTS[number % len(SUBJECTS)]}."


def request(model: str, text: str, tokens: int = TOKENS) -> GenerationRequest:
    turns = (Turn(Role.USER, text),)
    return GenerationRequest(model=ModelId(model), turns=turns, max_tokens=tokens, temperature=0.0)


async def speed(engine: TransformersEngine, model: str, count: int) -> float:
    """Return tokens a second of this many replies, requested at once."""

    async def write(number: int) -> int:
        generation = await engine.prepare(request(model, story(number)))
        return sum([chunk.tokens async for chunk in generation.stream()])

    started = time.perf_counter()
    written = await asyncio.gather(*(write(number) for number in range(count)))
    return sum(written) / (time.perf_counter() - started)


def timed(tokens: int, started: float) -> float:
    return tokens / (time.perf_counter() - started)


def specs_of(folder: Path) -> tuple[ModelSpec, ModelSpec]:
    """Return the 1B in bfloat16 and the 12B in int8, greedy, from this folder."""
    small, large = (
        replace(spec, source=FolderSource(folder=folder / size), sampling=Sampling(temperature=0.0), lazy=False)
        for spec, size in zip(load_catalogue("gemma"), ("1b", "12b"), strict=True)
    )
    return replace(small, context_tokens=2_048), replace(large, context_tokens=2_048)


async def started(specs: Sequence[ModelSpec], folder: Path, slots: int) -> TransformersEngine:
    library = ModelLibrary(folder)
    engine = TransformersEngine(specs, library, slots=slots, limits=ModelLimits(probe_interval_s=0))
    begun = time.perf_counter()
    await engine.start()
    for spec in specs:
        status = engine.status()[spec.id]
        assert status.state is ModelState.READY, status.reason
    print(f"{', '.join(spec.id for spec in specs)}: loaded in {time.perf_counter() - begun:.0f} s", flush=True)
    return engine


def same_tokens(folder: Path) -> None:
    """Hold 64 greedy tokens in float32 against those of `generate`."""
    spec = replace(specs_of(folder)[0], weights=Weights.FP32)
    model: Any = torch_runtime().load(spec, folder / "1b")
    asked = request(spec.id, story(1), 64)
    decoding = model.begin(asked, model.encode(asked.turns), max_tokens=64)
    while not decoding.ended:
        model.step([decoding])
    ours = decoding.written[0].tolist()
    del model, decoding
    theirs = References(folder / "1b", "float32").generate(story(1), 64)
    print(f"float32, 64 greedy tokens: {'the same as' if ours == theirs[: len(ours)] else 'NOT THOSE OF'} generate")
    free()


async def small(folder: Path, rounds: int) -> None:
    spec = specs_of(folder)[0]
    engine = await started([spec], folder, max(SMALL))
    references = References(folder / "1b", "bfloat16")
    seen: list[dict[str, float]] = []
    for _ in range(rounds + 1):  # the first one warms up
        figures: dict[str, float] = {}
        begun = time.perf_counter()
        figures["generate"] = timed(len(await asyncio.to_thread(references.generate, story(0))), begun)
        for count in SMALL:
            figures[f"chatbill, {count}"] = await speed(engine, spec.id, count)
            begun = time.perf_counter()
            figures[f"generate_batch, {count}"] = timed(
                await asyncio.to_thread(references.generate_batch, count), begun
            )
        seen.append(figures)
    show("Gemma 3 1B's shapes in bfloat16", seen[1:])
    for count in SMALL:
        ratio(seen[1:], f"chatbill, {count}", f"generate_batch, {count}")
    ratio(seen[1:], "chatbill, 1", "generate")
    references.close()
    await engine.close()
    free()


async def large(folder: Path, rounds: int) -> None:
    int8 = specs_of(folder)[1]
    bf16 = replace(int8, id=ModelId("gemma-12b-bf16"), weights=Weights.BF16)
    runtime = torch_runtime()
    engines = {}
    for name, spec in (("int8", int8), ("bfloat16", bf16)):
        before = runtime.free_gpu_bytes() or 0
        fit = ModelLibrary(folder).fits(spec, free_gpu_bytes=before, slots=max(LARGE))
        engines[name] = (await started([spec], folder, max(LARGE)), spec)
        taken = before - (runtime.free_gpu_bytes() or 0)
        print(f"{name}: foretold {fit.need_bytes / GIB:.1f} GiB with {fit.slots} replies, loaded {taken / GIB:.1f} GiB")
    seen = [
        {
            f"{name}, {count}": await speed(engine, spec.id, count)
            for count in LARGE
            for name, (engine, spec) in engines.items()
        }
        for _ in range(rounds + 1)
    ]
    show("Gemma 3 12B's shapes", seen[1:])
    for count in LARGE:
        ratio(seen[1:], f"int8, {count}", f"bfloat16, {count}")
    for engine, _ in engines.values():
        await engine.close()
    free()


def profile(folder: Path, count: int) -> None:
    """Print how long a step of this many replies takes, and for how long of it the GPU works."""
    import torch  # noqa: PLC0415
    from torch.profiler import ProfilerActivity  # noqa: PLC0415
    from torch.profiler import profile as profiled  # noqa: PLC0415

    spec = specs_of(folder)[0]
    model: LocalModel = torch_runtime().load(spec, folder / "1b")
    asked = [request(spec.id, story(number)) for number in range(count)]
    decodings = [model.begin(each, model.encode(each.turns), max_tokens=TOKENS) for each in asked]
    while any(each.reading for each in decodings):
        model.step(decodings)
    begun = time.perf_counter()
    for _ in range(PROFILED_STEPS):
        model.step(decodings)
    step_ms = (time.perf_counter() - begun) / PROFILED_STEPS * 1e3
    with profiled(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(PROFILED_STEPS):
            model.step(decodings)
        torch.cuda.synchronize()
    kernels: Any = [event for event in seen.events() if event.device_type.name == "CUDA"]
    busy_ms = sum(event.device_time for event in kernels) / PROFILED_STEPS / 1e3
    launched = len(kernels) / PROFILED_STEPS
    print(f"1B, {count} replies: {step_ms:.1f} ms a step, the GPU works {busy_ms:.1f} ms, {launched:.0f} kernels")
    table: Any = seen.key_averages()
    print(table.table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=44), flush=True)


def show(title: str, rounds: Sequence[dict[str, float]]) -> None:
    print(title)
    for name in rounds[0]:
        values = [its[name] for its in rounds]
        print(f"    {name:<22} {median(values):9.1f} tokens/s  ({min(values):.1f} to {max(values):.1f})", flush=True)


def ratio(rounds: Sequence[dict[str, float]], one: str, other: str) -> None:
    values = [its[one] / its[other] for its in rounds]
    words = f"{one} / {other}"
    print(f"    {words:<44} {median(values):5.2f}  ({min(values):.2f} to {max(values):.2f})", flush=True)


def free() -> None:
    import torch  # noqa: PLC0415

    gc.collect()
    torch.cuda.empty_cache()


def main(folder: Path, rounds: int) -> None:
    runtime = torch_runtime()
    import torch  # noqa: PLC0415

    if runtime.device != "cuda":
        sys.exit("NO GPU: nothing was measured")
    from tests.real_shapes.checkpoints import make_checkpoint  # noqa: PLC0415 - it needs torch

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {platform.python_version()}, ", end="")
    print(f"{memory_bandwidth('cuda') / 1e9:.0f} GB/s; medians of {rounds} rounds", flush=True)
    for size in ("1b", "12b"):
        if not (folder / size).exists():
            make_checkpoint(size, folder / size)
    same_tokens(folder)
    for count in SMALL:
        profile(folder, count)
        free()
    asyncio.run(small(folder, rounds))
    asyncio.run(large(folder, rounds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
