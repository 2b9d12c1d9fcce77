"""Starts processes of the program without waiting for its imports, which take seconds of processor time each.

A server imports the program once, and each process that a test starts is forked from it. It is a process of its own
like any other: with its own identifier, environment, files, signals and exit code. Where the server is not used, which
is outside pytest and outside Linux, the process is started as usual.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import IO, NoReturn, Protocol

from chatbill.entrypoints.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
IMPORTED = (
    *("chatbill.service", "chatbill.entrypoints.http", "chatbill.entrypoints.ui", "chatbill.adapters.persistence"),
    *("chatbill.adapters.persistence.sql.steps", "chatbill.adapters.persistence.repositories", "chatbill.settings"),
    *("chatbill.adapters.rate_limits.moving_window", "chatbill.adapters.security.passwords"),
)
"""Beside the commands of the command line."""
FOR_MODELS = "chatbill.adapters.inference.transformers.loading"
"""What is imported with the first process that may run a model."""
READY = b"ready\n"
MOST_BYTES = 100_000
"""Of a request: a module, its arguments and its environment."""
STARTED_WITHIN_S = 120


class Process(Protocol):
    """What tests use of `subprocess.Popen`."""

    pid: int
    stdout: IO[str] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A process that was forked from the server."""

    def __init__(self, connection: socket.socket, stdout: IO[str] | None) -> None:
        connection.settimeout(STARTED_WITHIN_S)
        self.pid = int(connection.recv(32))
        self.stdout = stdout
        self._connection, self._lock = connection, threading.Lock()
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raise `subprocess.TimeoutExpired` if it still runs after so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            if self._code is None:
                self._connection.settimeout(None if until is None else max(0, until - time.monotonic()))
                try:
                    self._code = int(self._connection.recv(32))
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
                self._connection.close()
            return self._code

    def send_signal(self, sig: int) -> None:
        """Do nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server, started with the first process that is asked of it. It ends with the process that started it."""

    def __init__(self) -> None:
        self.enabled = False
        self._path = ""
        self._lock = threading.Lock()

    @property
    def used(self) -> bool:
        """Are processes forked here?"""
        return self.enabled and sys.platform == "linux"

    def fork(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], files: Sequence[int]
    ) -> socket.socket:
        """Run a module as `python -m` does. `files` are its standard input, output and errors."""
        with self._lock:
            self._path = self._path or self._begin()
        request = json.dumps([module, arguments, dict(environment)]).encode()
        assert len(request) <= MOST_BYTES, "the environment is larger than a request may be"
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._path)
        socket.send_fds(connection, [request], files)
        return connection

    def _begin(self) -> str:
        path = f"{mkdtemp(prefix='forks-')}/socket"
        # It ends when this process ends, which closes the pipe.
        command = [sys.executable, "-m", "tests.kit.forking", path]
        server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdout
        assert server.stdout.readline() == READY, "the server from which processes are forked did not start"
        self._server = server
        return path


SERVER = ForkServer()


def start(module: str, *arguments: str, environment: Mapping[str, str], errors: int | None = None) -> Process:
    """Start `python -m MODULE ARGUMENTS`; its errors go to this file, by default to its output."""
    if not SERVER.used:
        command = [sys.executable, "-m", module, *arguments]
        goes_to = subprocess.STDOUT if errors is None else errors
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=goes_to, text=True)
    reading, writing = os.pipe()
    with Path(os.devnull).open(encoding="utf-8") as nothing, os.fdopen(writing, "wb"):
        files = (nothing.fileno(), writing, writing if errors is None else errors)
        connection = SERVER.fork(module, arguments, environment, files)
    return Forked(connection, os.fdopen(reading, encoding="utf-8"))


def run(
    module: str, *arguments: str, environment: Mapping[str, str], stdin: str | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` until it ends, and return what it wrote."""
    command = [sys.executable, "-m", module, *arguments]
    with ExitStack() as stack:
        given, output, errors = (stack.enter_context(TemporaryFile("w+", encoding="utf-8")) for _ in range(3))
        given.write(stdin or "")
        given.seek(0)
        files = (given.fileno(), output.fileno(), errors.fileno())
        if SERVER.used:
            code = Forked(SERVER.fork(module, arguments, environment, files), None).wait(timeout_s)
        else:
            code = subprocess.call(
                command, cwd=ROOT, env=environment, stdin=given, stdout=output, stderr=errors, timeout=timeout_s
            )
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(command, code, output.read(), errors.read())


def serve(path: str) -> tuple[socket.socket, bytes, list[int]] | None:
    """Fork for each request at the socket, and return it in the new process; None when the standard input ends."""
    for name in (*IMPORTED, *(place.path.partition(":")[0] for place in COMMANDS.values())):
        import_module(name)
    assert threading.active_count() == 1, f"a process with threads cannot be forked: {threading.enumerate()}"
    gc.collect()
    gc.freeze()
    # What ends is not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(path)
        listening.listen()
        os.write(1, READY)
        while listening.fileno() in select.select([listening.fileno(), 0], [], [])[0]:
            connection, _ = listening.accept()
            request, files, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
            if json.loads(request)[2].get("CHATBILL_ENGINE") not in (None, "scripted"):
                import_module(FOR_MODELS)
            if os.fork() == 0:
                return connection, request, files
            connection.close()
            for file in files:
                os.close(file)
    return None


def supervise(connection: socket.socket, files: list[int]) -> bool:
    """Start the process, and tell its identifier and its exit code. Return True in the process itself."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        for file in files:
            os.close(file)
        with contextlib.suppress(BrokenPipeError):
            connection.send(b"%d" % child)
            connection.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return False
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return True


def become(request: bytes) -> int:
    """Be the program that is asked for, and return its exit code."""
    module, arguments, environment = json.loads(request)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End without taking the modules apart, which would copy the memory that is shared with the server."""
    threading._shutdown()  # type: ignore[attr-defined]  # ends the threads of pools too, before those are waited for
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    accepted = serve(sys.argv[1])
    if accepted:
        leave(become(accepted[1]) if supervise(accepted[0], accepted[2]) else 0)
