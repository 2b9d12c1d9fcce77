"""Runs several processes of the service on one port, and starts those again that end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

import click
import structlog

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 30.0
STEADY_S: Final = 60.0
"""A worker that ran for this time is started again without a delay that grew."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """What a worker gets from the supervisor: its number, the socket, and a line to it."""

    number: int
    socket_fd: int
    line_fd: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the value of the option. Raises `click.BadParameter`."""
        try:
            return cls(*map(int, text.split(":")))
        except (TypeError, ValueError):
            raise click.BadParameter("is for processes that `serve --workers` starts") from None

    def __str__(self) -> str:
        return f"{self.number}:{self.socket_fd}:{self.line_fd}"

    def socket(self) -> socket.socket:
        """Return the socket on which all workers listen."""
        return socket.socket(fileno=self.socket_fd)

    def say_ready(self) -> None:
        """Tell the supervisor that requests are answered."""
        os.write(self.line_fd, b".")

    def end_with_supervisor(self) -> None:
        """End this process as on SIGTERM if the supervisor is gone. Call it on the event loop."""
        loop = asyncio.get_running_loop()

        def on_end() -> None:
            loop.remove_reader(self.line_fd)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(self.line_fd, on_end)


@dataclass(slots=True)
class _Worker:
    number: int
    process: asyncio.subprocess.Process
    line: socket.socket
    ready: asyncio.Task[bytes]
    started_at: float


@dataclass(kw_only=True)
class Supervisor:
    """Keeps `count` workers running on a socket until SIGTERM or Ctrl-C, which ends all of them.

    `command` starts a worker; its place is added to it. A worker that ends is started again after a second, or later if
    it ends again and again. One that ends before all were ready for the first time ends the others too.
    """

    command: list[str]
    sock: socket.socket
    count: int
    announce: Callable[[], None]
    _announced: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _codes: list[int] = field(default_factory=list)

    async def run(self) -> int:
        """Return the exit code: 0 if all workers ended well."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop)
        keeping = [asyncio.create_task(self._keep(number)) for number in range(self.count)]
        announcing = asyncio.create_task(self._announce())
        await asyncio.gather(*keeping)
        announcing.cancel()
        return int(any(code not in {0, -signal.SIGTERM} for code in self._codes))

    def _stop(self) -> None:
        """Ask all workers to end; a second time, to end at once."""
        self._stopping.set()
        # The workers have the socket open themselves. Or connections would be accepted here that no worker answers.
        self.sock.close()
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                worker.process.terminate()

    async def _announce(self) -> None:
        while len(self._workers) < self.count:  # noqa: ASYNC110 - processes start within milliseconds
            await asyncio.sleep(0.01)
        if all(await asyncio.gather(*(worker.ready for worker in self._workers.values()))):
            self._announced = True
            self.announce()

    async def _keep(self, number: int) -> None:
        loop, delay_s = asyncio.get_running_loop(), FIRST_DELAY_S
        while not self._stopping.is_set():
            worker = self._workers[number] = await self._start(number)
            if self._stopping.is_set():  # it was while the process started
                worker.process.terminate()
            code = await worker.process.wait()
            was_ready = await worker.ready
            worker.line.close()
            if not was_ready and not self._announced and not self._stopping.is_set():
                code = code or 1
                self._stop()
            if self._stopping.is_set():
                self._codes.append(code)
                return
            delay_s = FIRST_DELAY_S if loop.time() - worker.started_at >= STEADY_S else delay_s
            _log.error("worker_ended", worker=number, code=code, again_in_s=delay_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _start(self, number: int) -> _Worker:
        loop = asyncio.get_running_loop()
        line, other = socket.socketpair()
        line.setblocking(False)  # noqa: FBT003 - the name of the method says it
        with other:
            place = WorkerPlace(number, self.sock.fileno(), other.fileno())
            process = await asyncio.create_subprocess_exec(
                *self.command,
                f"--worker={place}",
                pass_fds=(place.socket_fd, place.line_fd),
                # Or Ctrl-C would reach it twice, and a second signal ends it at once.
                start_new_session=True,
            )
        ready = asyncio.create_task(_first_byte(loop, line))
        return _Worker(number, process, line, ready, loop.time())


async def _first_byte(loop: Any, line: socket.socket) -> bytes:
    """Return what a worker says when it is ready; b"" if it ended before."""
    try:
        return bytes(await loop.sock_recv(line, 1))
    except OSError:
        return b""


def worker_command(options: dict[str, str | None]) -> list[str]:
    """Return the command of a worker with these options."""
    given = [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]
    return [sys.executable, "-m", "chatbill", "serve", *given]
