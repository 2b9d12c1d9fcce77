"""Start one child process with llama.cpp, learn when it ends, and end it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from chatbill.adapters.inference.transformers.runtime import LoadError, NotLoadable
from chatbill.domain.shared.descriptions import Description

CHILD = Path(__file__).with_name("child.py")
_LINES, _LINE_BYTES = 12, 400
"""What is kept of the messages of the process, to explain why it could not start."""
_END_WAIT_S = 2.0
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
_PASSED_ON_PREFIXES = ("GGML_", "GOMP_", "OMP_", "CUDA_", "PYTHON")
_DEFAULTS = {
    # Threads that wait for each other spin first. By default so long that other work on their cores, such as the
    # service's own, slows llama.cpp down by orders of magnitude.
    "GOMP_SPINCOUNT": "1000"
}


@dataclass(slots=True)
class LlamaProcess:
    """A process that was started. `ended` is done when it is gone."""

    _process: asyncio.subprocess.Process
    _messages: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, *, model: Path, socket: Path, key: str, params: Mapping[str, Any], within_s: float
    ) -> LlamaProcess:
        """Return the process once it has loaded the model. Raises `LoadError`; no process is left then."""
        await asyncio.to_thread(socket.unlink, missing_ok=True)
        pipe = asyncio.subprocess.PIPE
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(CHILD), stdin=pipe, stdout=pipe, stderr=pipe, env=_environment()
        )
        process = cls(started)
        try:
            await process._load(
                {"parent": os.getpid(), "model": str(model), "socket": str(socket), "key": key, "params": dict(params)},
                within_s,
            )
        except BaseException:
            await process.end()
            raise
        return process

    async def wait(self) -> int:
        """Return the exit code, once the process has ended."""
        return await self._process.wait()

    async def has_ended(self, *, within_s: float) -> bool:
        """Return True if the process ends by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
        return self._process.returncode is not None

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End the process at once; `wait` returns soon."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """End the process, and return when it is gone."""
        if self._process.stdin:
            self._process.stdin.close()
        if not await self.has_ended(within_s=_END_WAIT_S):
            self.kill()
        await self._process.wait()
        if self._reading:
            await asyncio.wait({self._reading})

    async def _load(self, settings: dict[str, Any], within_s: float) -> None:
        process = self._process
        self._reading = asyncio.create_task(self._read_messages())
        stdin, stdout = cast("asyncio.StreamWriter", process.stdin), cast("asyncio.StreamReader", process.stdout)
        try:
            async with asyncio.timeout(within_s):
                with suppress(ConnectionError):
                    stdin.write(json.dumps(settings).encode() + b"\n")
                    await stdin.drain()
                answer = await stdout.readline()
        except TimeoutError:
            self.kill()
            raise LoadError(Description.of("model_load_stalled", after_s=within_s, stage="load")) from None
        if answer:
            return
        await self.end()
        words = "\n".join(self._messages)
        if "No module named 'xllamacpp'" in words:
            raise NotLoadable(Description.of("model_needs_package", package="xllamacpp"))
        raise ProcessFailed(process.returncode, words)

    async def _read_messages(self) -> None:
        stderr, rest = cast("asyncio.StreamReader", self._process.stderr), b""
        while received := await stderr.read(4_096):
            *lines, rest = (rest + received).split(b"\n")
            self._messages.extend(line[:_LINE_BYTES].decode("utf-8", "replace") for line in lines if line)
            rest = rest[:_LINE_BYTES]


class ProcessFailed(LoadError):
    """The process ended before the model was ready; `messages` are llama.cpp's last ones."""

    def __init__(self, exit_code: int | None, messages: str) -> None:
        super().__init__(Description.of("model_process_failed", exit_code=exit_code))
        self.messages = messages


def _environment() -> dict[str, str]:
    """Return what the process needs of the environment, without the secrets of the service."""
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {**_DEFAULTS, **kept}
