"""Measures how fast a whole charge is on SQLite: `python -m benchmarks.store [SECONDS_A_ROUND]`.

The reference, measured in the same minute on the same disk, is a durable commit of one row by the driver alone. Rounds
alternate, and the ratio is taken within each round.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.charges import PROMPT, Person, charges_per_second, compare, machine, prove_the_books
from chatbill.adapters.persistence import SqliteStore, sqlite_url
from chatbill.adapters.persistence.sql import schema
from chatbill.adapters.persistence.sqlite.driver import connect_to_write, load_driver, sqlite_database
from chatbill.adapters.persistence.sqlite.opened_file import OpenedFile

ROUNDS = 8
WANTED = {1: 0.25, 64: 0.5}
"""The ratio by the number of callers."""


def commits_per_second(path: Path, seconds: float) -> float:
    raw = connect_to_write(sqlite_database(load_driver()), OpenedFile(path), busy_timeout_s=5).raw
    raw.execute("CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, words TEXT)")
    until, done, started = time.perf_counter() + seconds, 0, time.perf_counter()
    while time.perf_counter() < until:
        raw.execute("INSERT INTO line (words) VALUES (?)", (PROMPT,))
        done += 1
    rate = done / (time.perf_counter() - started)
    raw.close()
    return rate


async def main(folder: Path, seconds: float) -> None:
    print(machine())
    version = load_driver().sqlite_version
    print(f"SQLite {version}, WAL, synchronous=FULL; {ROUNDS} rounds of {seconds:g} s each, medians")
    path, raw = folder / "store.sqlite3", folder / "raw.sqlite3"
    schema.upgrade(sqlite_url(path))
    store = SqliteStore(path)
    people = [await Person.register(store, f"person-{number}") for number in range(max(WANTED))]

    async def reference() -> float:
        return await asyncio.to_thread(commits_per_second, raw, seconds)

    for count, wanted in WANTED.items():

        async def measured(count: int = count) -> float:
            return await charges_per_second(people[:count], seconds)

        label = f"{count} callers" if count > 1 else "1 caller"
        units = "charges/s", "raw commits/s"
        await compare(label, measured, reference, rounds=ROUNDS, units=units, at_least=wanted)
    await prove_the_books(store)
    await store.close()


if __name__ == "__main__":
    with TemporaryDirectory(prefix="chatbill-benchmark-") as directory:
        asyncio.run(main(Path(directory), float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
