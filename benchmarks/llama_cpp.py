"""Measure GGUF files run by llama.cpp: `python -m benchmarks.llama_cpp [ROUNDS [speeds|turns]]`.

The demo model in 4 and in 8 bits through the public engine, beside Transformers' `generate` with the same weights in
bfloat16, and beside llama.cpp's own server, which is asked directly. All take turns in the same minutes on the same
machine, and each ratio is taken within its round; medians are printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import platformdirs

from benchmarks.inference import STREAMS, SUBJECTS, TOKENS, Mark, References, story
from chatbill.adapters.inference.catalogue.files import load_catalogue
from chatbill.adapters.inference.catalogue.model_spec import ModelSpec, Sampling
from chatbill.adapters.inference.llama_cpp import GgufModel, LlamaCppEngine
from chatbill.adapters.inference.llama_cpp.process import LlamaProcess
from chatbill.adapters.inference.weights.gguf import GgufLibrary
from chatbill.adapters.inference.weights.library import ModelLibrary
from chatbill.application.ports.engine import GenerationRequest
from chatbill.domain.chat.conversations import Role, Turn
from chatbill.domain.shared.ids import UserId

TURNS, MESSAGE_WORDS, REPLY_TOKENS = 20, 58, 40
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "i8mm")

SPEEDS = (
    Mark(words="one stream / generate in bfloat16", ratio=lambda its: its["one"] / its["generate"], bound=3.5),
    Mark(words="in 8 bits, one stream / generate", ratio=lambda its: its["pro"] / its["generate"], bound=2.0),
    Mark(
        words="8 streams / llama.cpp's server, asked directly", ratio=lambda its: its["eight"] / its["own"], bound=0.95
    ),
)
FIRST_TOKENS = (
    Mark(
        words="first token at turn 20 / at turn 1",
        ratio=lambda its: its["last turn"] / its["first turn"],
        bound=1.5,
        at_most=True,
    ),
)


class OwnServer:
    """llama.cpp's server in a process of its own, which several connections ask without the engine."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._process: LlamaProcess | None = None

    async def start(self, gguf: Path, spec: ModelSpec) -> None:
        """Load the model, with the settings of the server itself."""
        params = {"n_parallel": STREAMS, "n_ctx": STREAMS * spec.context_tokens, "ui": False, "verbosity": 1}
        self._process = await LlamaProcess.start(
            model=gguf, socket=self._socket, key="secret", params=params, within_s=60
        )

    async def speed(self) -> float:
        """Return tokens a second of replies requested at once."""
        started = time.perf_counter()
        written = await asyncio.gather(*(self._write(story(hero)) for hero in SUBJECTS[:STREAMS]))
        return sum(written) / (time.perf_counter() - started)

    async def close(self) -> None:
        """End the process."""
        if self._process:
            await self._process.end()

    async def _write(self, text: str) -> int:
        body = json.dumps(
            {
                "messages": [{"role": "user", "content": text}],
                "max_tokens": TOKENS,
                "temperature": 0,
                "cache_prompt": False,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        _, _, count = answer.rpartition(b'"completion_tokens":')
        return int(count.partition(b",")[0])


class Conversations:
    """Runs the public engine."""

    def __init__(self, engine: LlamaCppEngine, spec: ModelSpec) -> None:
        self._engine = engine
        self._model = spec.id
        self._owners = 0

    async def speed(self, count: int) -> float:
        """Return tokens a second of this many replies to new owners, requested at once."""
        started = time.perf_counter()
        replies = await asyncio.gather(
            *(self._write([Turn(Role.USER, story(hero))], self._owner(), TOKENS) for hero in SUBJECTS[:count])
        )
        return sum(tokens for tokens, _, _ in replies) / (time.perf_counter() - started)

    async def first_tokens(self, rounds: int) -> list[dict[str, float]]:
        """Return seconds to the first token at turn 1 and at the last turn, whose message differs in each round."""
        owner, talk = self._owner(), list[Turn]()
        for number in range(1, TURNS):
            talk += [_message(f"Turn {number}"), Turn(Role.ASSISTANT, "blue " * REPLY_TOKENS)]
        figures = []
        for number in range(rounds + 1):  # the first one warms up
            _, first_s, _ = await self._write([_message(f"Round {number}")], self._owner(), 1)
            _, last_s, _ = await self._write([*talk, _message(f"Round {number}")], owner, 1)
            figures.append({"first turn": first_s, "last turn": last_s})
        return figures[1:]

    def _owner(self) -> UserId:
        self._owners += 1
        return UserId(f"owner {self._owners}")

    async def _write(self, turns: Sequence[Turn], owner: UserId, tokens: int) -> tuple[int, float, str]:
        started = time.perf_counter()
        generation = await self._engine.prepare(
            GenerationRequest(model=self._model, turns=tuple(turns), max_tokens=tokens, temperature=0.0, owner=owner)
        )
        written, text, first_s = 0, "", 0.0
        async for chunk in generation.stream():
            first_s = first_s or time.perf_counter() - started
            written, text = written + chunk.tokens, text + chunk.text
        return written, first_s, text


def _message(beginning: str) -> Turn:
    return Turn(Role.USER, f"{beginning}: " + "red " * MESSAGE_WORDS)


async def one_round(
    here: Conversations, pro: Conversations, references: References, own: OwnServer
) -> dict[str, float]:
    return {
        "generate": await asyncio.to_thread(references.generate),
        "one": await here.speed(1),
        "pro": await pro.speed(1),
        "eight": await here.speed(STREAMS),
        "own": await own.speed(),
    }


async def speeds(count: int) -> None:
    """Measure how fast replies are written."""
    # As `generate` does it: greedy, without the catalogue's penalty.
    spec, pro = (replace(each, sampling=Sampling(temperature=0.0)) for each in load_catalogue("demo"))
    references = References(ModelLibrary(models()).ensure(spec))
    with TemporaryDirectory(prefix="chatbill-benchmark-") as folder:
        gguf = await asyncio.to_thread(GgufLibrary(models()).ensure, spec)
        pro_gguf = await asyncio.to_thread(GgufLibrary(models()).ensure, pro)
        files = [GgufModel(spec=spec, gguf=lambda: gguf), GgufModel(spec=pro, gguf=lambda: pro_gguf)]
        engine = LlamaCppEngine(files, slots=STREAMS)
        own = OwnServer(Path(folder) / "own.sock")
        await engine.start()
        await own.start(gguf, spec)
        measured = Conversations(engine, spec), Conversations(engine, pro), references, own
        await one_round(*measured)  # warms up all of them
        rounds = [await one_round(*measured) for _ in range(count)]
        await own.close()
        await engine.close()
    show(rounds, SPEEDS)


async def turns(count: int) -> None:
    """Measure how long the first token of a turn takes."""
    spec = replace(load_catalogue("demo")[0], sampling=Sampling(temperature=0.0), context_tokens=4_096)
    gguf = await asyncio.to_thread(GgufLibrary(models()).ensure, spec)
    engine = LlamaCppEngine([GgufModel(spec=spec, gguf=lambda: gguf)], slots=STREAMS)
    await engine.start()
    here = Conversations(engine, spec)
    rounds = await here.first_tokens(count)
    await engine.close()
    show(rounds, FIRST_TOKENS)


def models() -> Path:
    """Return the folder of models on this machine."""
    return platformdirs.user_cache_path("chatbill") / "models"


def show(rounds: Sequence[dict[str, float]], marks: Sequence[Mark]) -> None:
    figures = {name: median(its[name] for its in rounds) for name in rounds[0]}
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
    print(f"CPU flags: {cpu_flags()}")
    print(f"SmolLM2 135M, {TOKENS} tokens a reply; medians of {len(rounds)} rounds")
    for words, name in (
        ("generate, bfloat16", "generate"),
        ("chatbill with llama.cpp, one stream", "one"),
        ("the same in 8 bits", "pro"),
        (f"chatbill with llama.cpp, {STREAMS} streams", "eight"),
        (f"llama.cpp's own server, {STREAMS} streams", "own"),
    ):
        if name in figures:
            print(f"{words:<40} {figures[name]:7.1f} tokens/s")
    for words, name in (("first token, turn 1", "first turn"), (f"first token, turn {TURNS}", "last turn")):
        if name in figures:
            print(f"{words:<40} {figures[name] * 1e3:7.0f} ms")
    print()
    print("\n".join(mark.line(rounds) for mark in marks))


def cpu_flags() -> str:
    """Return the vector instructions of this CPU, as Linux names them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "unknown"
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return " ".join(flag for flag in FLAGS if flag in line.split()) or "none of these"


if __name__ == "__main__":
    chosen = sys.argv[2:] or ["speeds", "turns"]
    for measure in (speeds, turns):
        if measure.__name__ in chosen:
            asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
