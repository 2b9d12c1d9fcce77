"""Measures an upgrade under load on PostgreSQL: `python -m benchmarks.upgrade [ROWS] [--since REVISION] [--apart]`.

Makes the schema of the first revision, fills it with so many interactions and all that belongs to them, and upgrades it
as `chatbill db upgrade` does, while threads charge and read. Prints which locks each step took and for how long they
were held, and how long the statements of the threads waited. With `--since`, the schema is brought to that revision
before the load begins. With `--apart`, each step is a transaction of its own, to compare.

A lock is seen by looking every 10 ms, and lasts from the moment the upgrade waits for it: others then wait behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, event

from benchmarks.charges import machine, prove_the_books
from benchmarks.old_program import Load, Timing, fill, settle
from chatbill.adapters.persistence import open_store
from chatbill.adapters.persistence.postgres.driver import DEFAULT_TIMEOUTS
from chatbill.adapters.persistence.sql import schema
from tests.kit import postgres

FIRST = "0001"
FREE_S = 2.0
"""How long the load runs before the upgrade, and after it."""
EVERY_S = 0.01
EXCLUDING = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
"""Modes that exclude writers, the strongest last. That one excludes readers too."""
STEP = re.compile(r"version_num='(\w+)'")
LOCKS = "SELECT relation, mode FROM pg_locks WHERE pid = %s AND locktype = 'relation' AND mode = ANY(%s)"
TABLES = "SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


@dataclass
class Lock:
    """A lock of the upgrade on a table that was there before; `pid` tells its attempts apart."""

    pid: int
    table: str
    mode: str
    first: float
    last: float

    @property
    def ms(self) -> float:
        return (self.last - self.first) * 1_000


@dataclass
class Watch:
    """Watches the upgrades of this process: when each step ended, and which locks they had."""

    url: str
    locks: dict[tuple[int, str, str], Lock] = field(default_factory=dict)
    steps: list[tuple[str, float]] = field(default_factory=list)
    """Revision, and when it was reached, of all attempts."""
    pids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        event.listen(Engine, "before_cursor_execute", self._begins)
        event.listen(Engine, "after_cursor_execute", self._ends)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._begins)
        event.remove(Engine, "after_cursor_execute", self._ends)
        self._over.set()
        self._thread.join(timeout=60)

    def _begins(self, connection: Any, *_: Any) -> None:
        pid = connection.connection.driver_connection.info.backend_pid
        if pid not in self.pids:
            self.pids.append(pid)

    def _ends(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if found := STEP.search(statement):
            self.steps.append((found[1], time.perf_counter()))

    def _look(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            tables = {oid: str(name) for oid, name in connection.execute(TABLES)}
            while not self._over.wait(EVERY_S):
                if not self.pids:
                    continue
                pid, began = self.pids[-1], time.perf_counter()
                held = connection.execute(LOCKS, (pid, list(EXCLUDING))).fetchall()
                now = time.perf_counter()
                for oid, mode in held:
                    if oid in tables:
                        key = (pid, tables[oid], mode)
                        self.locks.setdefault(key, Lock(*key, began, now)).last = now


def revisions(since: str) -> list[str]:
    """Return all revisions after this one, the oldest first."""
    return [f"{number:04}" for number in range(int(since) + 1, int(schema.head()) + 1)]


def prepare(url: str, rows: int, since: str) -> int:
    """Fill the empty database, and bring it to this revision; return how many people there are."""
    schema.upgrade(url, FIRST)
    began = time.perf_counter()
    people = fill(url, rows)
    print(f"{rows:,} interactions of {people} people: filled in {time.perf_counter() - began:.0f} s", flush=True)
    if since > FIRST:
        schema.upgrade(url, since)
        settle(url)
    return people


def measure(url: str, people: int, since: str, *, apart: bool = False, free_s: float = FREE_S) -> Load:
    """Upgrade the database under load; print what was seen, and return the load."""
    with Load(url, people) as load:
        time.sleep(free_s)
        began = time.perf_counter()
        with Watch(url) as watch:
            for revision in revisions(since) if apart else ["head"]:
                schema.upgrade(url, revision)
            ended = time.perf_counter()
        time.sleep(free_s)
    how = "each step a transaction" if apart else "one transaction"
    print(f"upgrade {since} to {schema.head()}, {how}: {ended - began:.1f} s in {len(watch.pids)} transactions")
    report_locks(watch, began)
    report_load(load, began, ended)
    return load


def report_locks(watch: Watch, began: float) -> None:
    print("step       ms   locks that exclude writers, on tables that were there, until the transaction ends")
    locks = sorted(watch.locks.values(), key=lambda lock: (lock.first, EXCLUDING.index(lock.mode)))
    before, last, strongest = began, "", dict[tuple[int, str], int]()
    for revision, reached in watch.steps:
        if revision <= last:
            print("after a deadlock or a time-out, once more:")
        last, taken = revision, []
        for lock in (lock for lock in locks if before <= lock.first < reached):
            rank, key = EXCLUDING.index(lock.mode), (lock.pid, lock.table)
            if rank > strongest.get(key, -1):
                taken.append(f"{lock.table} {lock.mode} {lock.ms:,.0f} ms")
                strongest[key] = rank
        print(f"{revision} {(reached - before) * 1_000:8,.0f}   {'; '.join(taken)}")
        before = reached
    for who, modes in (("readers", EXCLUDING[-1:]), ("writers", EXCLUDING)):
        longest = max((lock for lock in locks if lock.mode in modes), key=lambda lock: lock.ms, default=None)
        if longest:
            print(f"longest lock that excluded {who}: {longest.table} {longest.mode}, {longest.ms:,.0f} ms")


def report_load(load: Load, began: float, ended: float) -> None:
    print(f"load: {len(load.timings):,} statements, {load.charges:,} charges")
    free = [timing.took_s for timing in load.timings if timing.began + timing.took_s < began]
    print(f"longest statement before the upgrade: {max(free, default=0) * 1_000:,.0f} ms")
    for kind, reads in (("reading", True), ("writing", False)):
        during = [
            timing
            for timing in load.timings
            if timing.began < ended and timing.began + timing.took_s > began and is_reading(timing) == reads
        ]
        if during:
            longest = max(during, key=lambda timing: timing.took_s)
            print(f"longest {kind} statement during it: {longest.took_s * 1_000:,.0f} ms ({longest.what})")
    limit = DEFAULT_TIMEOUTS.lock_timeout_s
    print(f"statements that took more than {limit:g} s, after which the service gives up:", end=" ")
    print(sum(timing.took_s > limit for timing in load.timings))
    failed = Counter((timing.what, timing.failure) for timing in load.timings if timing.failure)
    print(f"statements that failed: {failed.total()}", *(f"{what}: {code} ({n})" for (what, code), n in failed.items()))
    for error in load.errors:
        print(f"a thread ended: {error!r}")


def is_reading(timing: Timing) -> bool:
    return timing.what.startswith("SELECT") and not timing.what.startswith("SELECT *")


async def prove(url: str) -> None:
    store = open_store(url)
    try:
        await prove_the_books(store)
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000, help="interactions in all")
    known = (FIRST, *revisions(FIRST))
    parser.add_argument("--since", default=FIRST, choices=known, help="the revision before the load")
    parser.add_argument("--apart", action="store_true", help="upgrade with a transaction for each step")
    options = parser.parse_args()
    print(machine())
    server = postgres.start(durable=True)
    try:
        url = server.empty()
        people = prepare(url, options.rows, options.since)
        measure(url, people, options.since, apart=options.apart)
        asyncio.run(prove(url))
    finally:
        postgres.stop(server)


if __name__ == "__main__":
    main()
